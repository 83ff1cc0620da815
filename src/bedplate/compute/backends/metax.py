"""MetaX: its torch speaks of `cuda`; its `nccl` is MCCL."""

from __future__ import annotations

from bedplate.core.backends import Backend

BACKEND = Backend(
    name="metax",
    vendor="metax",
    torch_device="cuda",
    collectives="nccl",
    interface_variable="MCCL_SOCKET_IFNAME",
    visibility_variable="MACA_VISIBLE_DEVICES",
    precisions=("fp32", "fp16", "bf16"),
    source="developer.metax-tech.com: MACA and its torch",
)
