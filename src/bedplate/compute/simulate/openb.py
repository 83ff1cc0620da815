"""Reader of the openb traces: nodes and pods of a GPU cluster, as CSV.

Nodes: `sn,cpu_milli,memory_mib,gpu,model`. Pods: `name,cpu_milli,memory_mib,num_gpu,gpu_milli` and, where they choose a model,
`gpu_spec` (`V100M16|V100M32`); other columns are not used here.

Source: Alibaba cluster-trace-gpu-v2023.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError

_NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
_POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
_MODELS_COLUMN = "gpu_spec"

T = TypeVar("T")


def read_nodes(file: Path) -> list[Node]:
    """The nodes, in the order of the file.

    Raises:
        NotFoundError: No such file.
        ConfigurationError: A column is missing, a value is none, or a name is there twice; with its line.
    """
    nodes = [
        Node(
            name=row["sn"],
            cpu_milli=_number(row, "cpu_milli", place),
            memory_mib=_number(row, "memory_mib", place),
            num_devices=_number(row, "gpu", place),
            model=row["model"] or "none",
        )
        for place, row in _rows(file, _NODE_COLUMNS)
    ]
    return _unique(nodes, [node.name for node in nodes], file)


def read_pods(file: Path) -> list[tuple[str, RequestClass]]:
    """Name and need of each pod, in the order of the file; raises as `read_nodes` does."""
    pods = []
    for place, row in _rows(file, _POD_COLUMNS):
        num_devices = _number(row, "num_gpu", place)
        share = _number(row, "gpu_milli", place) if row["gpu_milli"] else WHOLE if num_devices else 0
        models = tuple(sorted(set((row.get(_MODELS_COLUMN) or "").split("|")) - {""}))
        try:
            need = RequestClass(
                cpu_milli=_number(row, "cpu_milli", place),
                memory_mib=_number(row, "memory_mib", place),
                num_devices=num_devices,
                share_milli=share,
                models=models if num_devices else (),
            )
        except UsageError as error:
            raise ConfigurationError(
                "a pod asks for what cannot be", seen=f"{place}: {error.seen}", expected=error.expected
            ) from error
        pods.append((row["name"], need))
    return _unique(pods, [name for name, _ in pods], file)


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """`FILE:LINE` and the row, which has all `columns`."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if missing := [column for column in columns if column not in (reader.fieldnames or ())]:
                raise ConfigurationError(
                    "the trace lacks columns",
                    seen=f"{file}:1: {', '.join(reader.fieldnames or ()) or 'nothing'}",
                    expected=f"{', '.join(columns)}; missing: {', '.join(missing)}",
                )
            for row in reader:
                place = f"{file}:{reader.line_num}"
                if any(row[column] is None for column in columns):
                    raise ConfigurationError("a row is cut short", seen=place, expected=", ".join(columns))
                yield place, row
    except FileNotFoundError as error:
        raise NotFoundError("no such trace", seen=file, next_step="check the path") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError("the trace cannot be read", seen=f"{file}: {error}", expected="a CSV file in UTF-8") from error


def _number(row: Mapping[str, str], column: str, place: str) -> int:
    text = row[column]
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError("a value is no whole number", seen=f"{place}: {column}={text!r}", expected="0 or more")
    return int(text)


def _unique(rows: list[T], names: list[str], file: Path) -> list[T]:
    if not rows:
        raise ConfigurationError("the trace is empty", seen=file, expected="one row or more")
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ConfigurationError("a name is there twice", seen=f"{file}: {twice}", expected="names of their own")
    return rows
