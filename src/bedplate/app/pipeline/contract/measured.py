"""The one way in which a step makes its measurements: hardware, time, extent and disturbance are the same words everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bedplate.app.pipeline.contract.accelerators import is_emulated
from bedplate.app.pipeline.contract.step import StepContext
from bedplate.core.devices import Device, Node, hardware_text
from bedplate.core.measurement import Measurement, Provenance, measured
from bedplate.core.workload import TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a measurement spans."""

    num_nodes: int = 1
    num_devices: int = 1


def measured_in(
    context: StepContext,
    values: Mapping[str, float | None],
    *,
    scale: str,
    source: str,
    tasks: Sequence[TaskStatus] = (),
    extent: Extent | None = None,
    emulated: bool = False,
) -> tuple[Measurement, ...]:
    """Measurements of what a step's tasks did on the step's engine; units come from the registry of ids.

    Args:
        context: The step that measured; its engine names the hardware, and it knows whether the machine was busy.
        values: Id -> value in the registered unit; None where it was tried in vain.
        scale: How large, for people.
        source: The command or step that the numbers come from.
        tasks: The tasks that were measured: the nodes and devices they ran on are counted. None: one device.
        extent: Instead of `tasks`, where only the numbers are known any more.
        emulated: Whether it ran on stand-in hardware, where `tasks` do not say.

    Raises:
        UsageError: An id that is not registered (`bedplate.core.measures`).
    """
    nodes = context.engine.resources()
    used = [node for node in nodes if node.id in {task.node for task in tasks}]
    spanned = extent or extent_of(tasks, nodes)
    return measured(
        values,
        provenance=Provenance.EMULATED if emulated or is_emulated(_accelerators_of(tasks, nodes)) else Provenance.MEASURED,
        hardware=hardware_text(used or nodes, accelerators=any(task.devices for task in tasks)),
        scale=scale,
        source=source,
        at_s=context.clock.now(),
        num_nodes=spanned.num_nodes,
        num_devices=spanned.num_devices,
        busy_frac=context.busy_frac(),
    )


def _accelerators_of(tasks: Sequence[TaskStatus], nodes: Sequence[Node]) -> list[Device]:
    used = {(task.node, device) for task in tasks for device in task.devices}
    return [device for node in nodes for device in node.devices if (node.id, device.id) in used]


def extent_of(tasks: Sequence[TaskStatus], nodes: Sequence[Node]) -> Extent:
    """Nodes and devices that `tasks` ran on, each counted once; one of each where there are no tasks."""
    num_nodes, num_devices = len({task.node for task in tasks}), len(devices_of(tasks, nodes))
    return Extent(num_nodes=max(1, num_nodes), num_devices=max(1, num_devices))


def devices_of(tasks: Sequence[TaskStatus], nodes: Sequence[Node]) -> set[tuple[str, str]]:
    """(node, device) of every device that `tasks` ran on; CPU devices by the cores that they got."""
    used = {(task.node, device) for task in tasks for device in task.devices}
    for node in nodes:
        cores = {core for task in tasks if task.node == node.id for core in task.cores}
        used |= {(node.id, device.id) for device in node.devices if device.kind == "cpu" and cores & set(device.cores)}
    return used
