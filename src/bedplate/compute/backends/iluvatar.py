"""Iluvatar CoreX: its torch speaks of `cuda`; its `nccl` is ixCCL."""

from __future__ import annotations

from bedplate.core.backends import Backend

BACKEND = Backend(
    name="iluvatar",
    vendor="iluvatar",
    torch_device="cuda",
    collectives="nccl",
    interface_variable="NCCL_SOCKET_IFNAME",
    visibility_variable="CUDA_VISIBLE_DEVICES",
    precisions=("fp32", "fp16", "bf16"),
    source="support.iluvatar.com: IxUCA and its torch",
)
