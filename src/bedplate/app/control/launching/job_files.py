"""The folder of a job: what its process is told, its lock, its own log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.core.allocation import NodeAllocation
from bedplate.core.files import write_file
from bedplate.core.json import JsonObject
from bedplate.core.messages import from_bytes, to_bytes
from bedplate.state.database.location import StateLocation

LOG = "runner.log"
"""What a job's process itself writes; the logs of its tasks are with the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the process of one attempt is told."""

    job_id: str
    attempt: int
    state: str
    """What `--state` says."""
    engine: str
    """URL of the engine whose nodes are allocated."""
    only: tuple[NodeAllocation, ...]
    document: JsonObject
    file: str
    owner: str
    is_new_run: bool
    uses: Mapping[str, str] = field(default_factory=dict)


def folder_of(location: StateLocation, job_id: str) -> Path:
    """Where the files of a job are."""
    return location.control_folder / "jobs" / job_id


def write_orders(folder: Path, orders: Orders) -> Path:
    """Write what an attempt's process is told; readable by this user only, since documents may hold secrets."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"attempt-{orders.attempt}.json"
    write_file(file, to_bytes(orders))
    return file


def read_orders(file: Path) -> Orders:
    """Inverse of `write_orders`.

    Raises:
        MessageError: It is not what was agreed.
    """
    return from_bytes(Orders, file.read_bytes())
