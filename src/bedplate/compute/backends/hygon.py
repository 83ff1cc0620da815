"""Hygon DCU: its torch is a ROCm build that speaks of `cuda`; its `nccl` is RCCL of the DTK."""

from __future__ import annotations

from bedplate.core.backends import Backend

BACKEND = Backend(
    name="hygon",
    vendor="hygon",
    torch_device="cuda",
    collectives="nccl",
    interface_variable="NCCL_SOCKET_IFNAME",
    visibility_variable="HIP_VISIBLE_DEVICES",
    precisions=("fp32", "fp16"),
    image="pytorch of the DTK, from Hygon",
    source="developer.sourcefind.cn: DTK and its torch",
)
