"""A second kind of processor that every machine has: the same cores, programmed in a deliberately different way.

A pool of one kind hides every place where a program names its device. So this kind differs from the plain CPU wherever kinds of
devices differ: it does not compute in bf16, its collectives are a library of another name that a plugin registers with torch
(as `torch_npu` brings `hccl`), it has devices that are shown and hidden by a variable, and its processes start with variables
of their own. A job that runs on both unchanged is programmed in the one way. Its devices are there where people ask for them:
`BEDPLATE_EMULATED_DEVICES=2`. What is measured on them is `emulated`.
"""

from __future__ import annotations

from bedplate.core.backends import Backend, SupportLevel

BACKEND = Backend(
    name="emulated",
    vendor="emulated",
    torch_device="cpu",
    torch_plugin="bedplate.workers.alternative_collectives",
    collectives="altccl",
    interface_variable="ALTCCL_SOCKET_IFNAME",
    visibility_variable="EMULATED_VISIBLE_DEVICES",
    precisions=("fp32", "int8"),
    environment={"ALTCCL_BUFFER_BYTES": "1048576", "TORCH_GLOO_LAZY_INIT": "1"},
    support=SupportLevel.LAUNCHED,
    is_emulated=True,
    source="made here",
)
