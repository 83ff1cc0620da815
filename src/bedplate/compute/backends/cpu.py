"""Processors, by torch itself: bf16 everywhere, in hardware or not, so that a run gives the same on every machine."""

from __future__ import annotations

from bedplate.core.backends import Backend, SupportLevel

BACKEND = Backend(
    name="cpu",
    vendor="cpu",
    device_kinds=("cpu",),
    torch_device="cpu",
    collectives="gloo",
    interface_variable="GLOO_SOCKET_IFNAME",
    precisions=("fp32", "bf16", "int8"),
    image="",
    support=SupportLevel.MEASURED,
    source="pytorch.org/docs/stable/distributed.html",
)
