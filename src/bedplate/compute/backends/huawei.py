"""Huawei Ascend: torch_npu and HCCL. The 910A and the 310P do not compute in bf16."""

from __future__ import annotations

from bedplate.core.backends import Backend

BACKEND = Backend(
    name="huawei",
    vendor="huawei",
    torch_device="npu",
    torch_plugin="torch_npu",
    collectives="hccl",
    interface_variable="HCCL_SOCKET_IFNAME",
    visibility_variable="ASCEND_RT_VISIBLE_DEVICES",
    precisions=("fp32", "fp16"),
    environment={"HCCL_WHITELIST_DISABLE": "1"},
    image="ascend/cann with torch_npu",
    source="github.com/Ascend/pytorch; hiascend.com: environment variables of CANN",
)
