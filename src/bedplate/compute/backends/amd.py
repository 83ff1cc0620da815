"""AMD Instinct: torch's ROCm build speaks of `cuda`, and its `nccl` is RCCL."""

from __future__ import annotations

from bedplate.core.backends import Backend

BACKEND = Backend(
    name="amd",
    vendor="amd",
    torch_device="cuda",
    collectives="nccl",
    interface_variable="NCCL_SOCKET_IFNAME",
    visibility_variable="HIP_VISIBLE_DEVICES",
    precisions=("fp32", "fp16", "bf16"),
    image="rocm/pytorch",
    source="rocm.docs.amd.com: GPU isolation techniques; pytorch.org/docs/stable/notes/hip.html",
)
