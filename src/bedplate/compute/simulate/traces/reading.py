"""Reads a trace of jobs in any of the formats that are known, told apart by the first line."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bedplate.compute.simulate.traces.columns import open_trace
from bedplate.compute.simulate.traces.trace import Trace
from bedplate.core.errors import ConfigurationError, check_known

_ROOM = "bedplate.compute.simulate.traces"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    reader: str
    """`module:function`, loaded when it is used."""
    columns: tuple[str, ...]
    """A header with all of these is of this format."""
    delimiter: str = ","


FORMATS: dict[str, _Format] = {
    "bedplate": _Format(reader="own:read_own", columns=("id", "submitted", "duration")),
    "helios": _Format(reader="helios:read_helios", columns=("job_id", "gpu_num", "node_num", "submit_time")),
    "openb": _Format(reader="openb_jobs:read_openb_jobs", columns=("name", "num_gpu", "gpu_milli", "creation_time")),
    "philly-csv": _Format(reader="philly:read_philly_csv", columns=("jobid", "vc", "submitted_time", "num_gpus")),
    "philly-json": _Format(reader="philly:read_philly_json", columns=()),
    "slurm": _Format(reader="slurm:read_slurm", columns=("JobID", "State", "Submit", "Start", "End"), delimiter="|"),
}
"""Name -> how the format is recognised and read. JSON is recognised by its first character."""


def read_trace(file: Path, format_name: str | None = None) -> Trace:
    """The jobs of a file, and an account of those that cannot be replayed.

    Args:
        file: In one of `FORMATS`; `.gz` is unpacked.
        format_name: One of `FORMATS`; told by the first line if None.

    Raises:
        NotFoundError: No such file.
        UsageError: No such format.
        ConfigurationError: No format has such a first line; or a column is missing or a value cannot be read, with its
            `FILE:LINE: column`.
    """
    name = format_name or _recognised(file)
    check_known(name, FORMATS, "unknown format of traces")
    module, _, function = FORMATS[name].reader.partition(":")
    reader = getattr(importlib.import_module(f"{_ROOM}.{module}"), function)
    return cast("Callable[[Path], Trace]", reader)(file)


def _recognised(file: Path) -> str:
    with open_trace(file) as stream:
        first = stream.readline()
    if first.lstrip().startswith("["):
        return "philly-json"
    for name, known in FORMATS.items():
        names = {cell.strip() for cell in first.rstrip("\r\n").split(known.delimiter)}
        if known.columns and names.issuperset(known.columns):
            return name
    raise ConfigurationError(
        "the format of the trace is not known",
        seen=f"{file}:1: {first.strip()[:120]!r}",
        expected="; ".join(
            f"{name}: {known.delimiter.join(known.columns) or 'a list in JSON'}" for name, known in FORMATS.items()
        ),
        next_step="say it with --format, or write the jobs as id,submitted,duration,devices,…",
    )
