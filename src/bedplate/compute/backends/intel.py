"""Intel: GPUs by torch's own `xpu` and XCCL (torch 2.8 and newer), Gaudi by Habana's plugin and HCCL."""

from __future__ import annotations

from bedplate.core.backends import Backend

BACKEND = Backend(
    name="intel",
    vendor="intel",
    device_kinds=("gpu",),
    torch_device="xpu",
    collectives="xccl",
    interface_variable="CCL_SOCKET_IFNAME",
    visibility_variable="ZE_AFFINITY_MASK",
    precisions=("fp32", "fp16", "bf16"),
    environment={"ZE_FLAT_DEVICE_HIERARCHY": "FLAT"},
    image="intel/intel-extension-for-pytorch",
    source="pytorch.org/docs/stable/notes/get_start_xpu.html; oneAPI Level Zero: environment variables",
)
GAUDI = Backend(
    name="intel-gaudi",
    vendor="intel",
    device_kinds=("npu",),
    torch_device="hpu",
    torch_plugin="habana_frameworks.torch",
    collectives="hccl",
    interface_variable="HCCL_SOCKET_IFNAME",
    visibility_variable="HABANA_VISIBLE_MODULES",
    precisions=("fp32", "bf16"),
    image="gaudi-docker of Habana",
    source="docs.habana.ai: PyTorch gateway, multiple workloads on a node",
)
