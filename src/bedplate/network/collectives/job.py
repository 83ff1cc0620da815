"""Reads what a training step reports about its collectives: `training.json` with `world_size` and `collectives`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from bedplate.core.collectives import Collective, CollectiveKind
from bedplate.core.errors import ConfigurationError, NotFoundError
from bedplate.core.settings import Range, Source, read_settings

JOB_FILE = "training.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTraffic:
    """What one optimiser step of a job exchanges."""

    world_size: int
    collectives: tuple[Collective, ...]
    file: Path
    """Where it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _CollectiveSettings:
    kind: CollectiveKind
    group: tuple[int, ...]
    message_bytes: Annotated[float, Range(0)]
    per_step: Annotated[float, Range(0)] = 1.0


def read_job(path: Path) -> JobTraffic:
    """The job of a training folder, or of a file of that form; other keys of the file are left alone.

    Raises:
        NotFoundError: No such file.
        ConfigurationError: Not JSON, no `world_size` or `collectives`, or ranks outside the world.
    """
    file = path / JOB_FILE if path.is_dir() else path
    if not file.is_file():
        raise NotFoundError("no job file", seen=file, expected=f"a folder with {JOB_FILE}, or a JSON file with its keys")
    data = _parse(file)
    world_size = data.get("world_size")
    if isinstance(world_size, bool) or not isinstance(world_size, int) or world_size < 1:
        raise ConfigurationError(
            "'world_size' is not a number of ranks", where=str(file), seen=world_size, expected="at least 1"
        )
    entries = data.get("collectives")
    if not isinstance(entries, list):
        raise ConfigurationError("'collectives' is not a list", where=str(file), seen=entries, expected="a list of collectives")
    collectives = tuple(_read(entry, index, world_size, file) for index, entry in enumerate(entries))
    return JobTraffic(world_size=world_size, collectives=collectives, file=file)


def _parse(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        where = f"{file}:{line}" if line else str(file)
        raise ConfigurationError("not JSON", where=where, seen=error, next_step="check that the file is complete") from error
    if not isinstance(data, dict):
        raise ConfigurationError("not a job file", where=str(file), seen=type(data).__name__, expected="a JSON object")
    return data


def _read(entry: object, index: int, world_size: int, file: Path) -> Collective:
    settings = read_settings(_CollectiveSettings, entry, Source(file=f"{file} (collectives[{index}])"))
    if outside := [rank for rank in settings.group if not 0 <= rank < world_size]:
        raise ConfigurationError(
            f"collectives[{index}] names ranks outside the job",
            where=str(file),
            seen=outside,
            expected=f"0 to {world_size - 1}",
        )
    return Collective(
        kind=settings.kind,
        group=settings.group,
        message_bytes=round(settings.message_bytes),
        per_step=settings.per_step,
    )
