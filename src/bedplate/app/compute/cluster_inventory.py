"""`compute inventory --engine`: the devices of every machine of an engine, each read where it is.

It writes nothing: no state, no run, no tasks. A machine that is silent, or whose tools are broken, is in the answer with its
trouble.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.app.compute.device_figures import device_json
from bedplate.app.wiring import engine_factory
from bedplate.core.devices import Device
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.json import JsonObject
from bedplate.engines.base import CanSurvey, Engine, NodeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInventory:
    """What the machines of an engine say they are."""

    nodes: tuple[NodeReport, ...]
    """By name."""

    @property
    def devices(self) -> Sequence[tuple[str, Device]]:
        """Every device with the name of its node, node by node."""
        return [(node.id, device) for node in self.nodes for device in node.devices]

    def as_json(self) -> JsonObject:
        """`nodes`, each with its devices, and `devices`, all of them with their node."""
        return {
            "nodes": [
                {
                    "id": node.id,
                    "labels": dict(node.labels),
                    "has_answered": node.has_answered,
                    "troubles": list(node.troubles),
                    "devices": [device_json(device) for device in node.devices],
                }
                for node in self.nodes
            ],
            "devices": [{"node": node, **device_json(device)} for node, device in self.devices],
        }


def cluster_inventory(engine_url: str, timeout_s: float = 60.0) -> ClusterInventory:
    """Read every machine of the engine at `engine_url`.

    Args:
        engine_url: As `--engine` of `bedplate run`.
        timeout_s: A machine that has not answered by then is listed as silent. A Ray node starts an agent first, which takes
            some seconds.

    Raises:
        UsageError: There is no such kind of engine, or no time to wait.
        UnavailableError: The engine cannot be opened, or none of its machines answers.
    """
    if not timeout_s > 0:
        raise UsageError("machines need time to answer", seen=f"{timeout_s} s", expected="more than 0 s")
    with tempfile.TemporaryDirectory(prefix="bedplate-inventory-") as folder:
        engine = engine_factory(engine_url)(Path(folder))
        try:
            found = ClusterInventory(nodes=_reports(engine, timeout_s))
        finally:
            engine.close()
    if not any(node.has_answered for node in found.nodes):
        raise UnavailableError(
            "no machine of the engine answers",
            seen="; ".join(f"{node.id}: {', '.join(node.troubles)}" for node in found.nodes[:4]) or "it has none",
            expected=f"an answer within {timeout_s:g} s",
            next_step="give it more time (--timeout), and check that bedplate is installed on its machines",
        )
    return found


def _reports(engine: Engine, timeout_s: float) -> tuple[NodeReport, ...]:
    if isinstance(engine, CanSurvey):
        return engine.survey(timeout_s)
    return tuple(
        NodeReport(id=node.id, labels=node.labels, devices=node.devices, troubles=node.troubles) for node in engine.resources()
    )
