"""Accelerators that a cluster manager counts and no probe of the machine lists: a vendor that we do not know, or a test's.

They are devices with the manager's word for a model. How a process is limited to one of them nobody here knows, so every task
sees what its machine shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bedplate.core.devices import DECLARED, Device, Node
from bedplate.engines.remote.transport import Accelerators


def undetected(machine: Node, counted: Sequence[Accelerators]) -> Iterator[Device]:
    """Devices for what the manager counts beyond the accelerators that `machine` lists.

    Args:
        machine: As its probes read it.
        counted: As the cluster manager counts.
    """
    found = Counter("npu" if device.kind == "npu" else "gpu" for device in machine.devices if device.kind != "cpu")
    for item in counted:
        kind = "npu" if item.resource == "NPU" else "gpu"
        for number in range(found[kind], item.count):
            yield Device(id=f"{kind}:{number}", kind=kind, vendor=DECLARED, model=item.model, memory_bytes=0)
