"""Moore Threads: torch_musa and MCCL."""

from __future__ import annotations

from bedplate.core.backends import Backend

BACKEND = Backend(
    name="moore-threads",
    vendor="moore-threads",
    torch_device="musa",
    torch_plugin="torch_musa",
    collectives="mccl",
    interface_variable="MCCL_SOCKET_IFNAME",
    visibility_variable="MUSA_VISIBLE_DEVICES",
    precisions=("fp32", "fp16"),
    source="github.com/MooreThreads/torch_musa",
)
