"""Reader of the openb traces: nodes and pods of a GPU cluster, as CSV.

Nodes: `sn,cpu_milli,memory_mib,gpu,model`. Pods: `name,cpu_milli,memory_mib,num_gpu,gpu_milli` and, where they choose a model,
`gpu_spec` (`V100M16|V100M32`); other columns are not used here.

Source: Alibaba cluster-trace-gpu-v2023.
"""

from __future__ import annotations

from pathlib import Path

from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.compute.simulate.traces.columns import Row, Table, check_unique
from bedplate.core.errors import ConfigurationError, UsageError

NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
MODELS_COLUMN = "gpu_spec"


def read_nodes(file: Path) -> list[Node]:
    """The nodes, in the order of the file.

    Raises:
        NotFoundError: No such file.
        ConfigurationError: A column is missing, a value is none, or a name is there twice; with its line.
    """
    nodes = [
        Node(
            name=row.text("sn"),
            cpu_milli=row.whole("cpu_milli"),
            memory_mib=row.whole("memory_mib"),
            num_devices=row.whole("gpu"),
            model=row.text("model", "none"),
        )
        for row in Table.rows(file, NODE_COLUMNS)
    ]
    check_unique([node.name for node in nodes], file)
    return nodes


def read_pods(file: Path) -> list[tuple[str, RequestClass]]:
    """Name and need of each pod, in the order of the file; raises as `read_nodes` does."""
    pods = [(row.text("name"), _need(row)) for row in Table.rows(file, POD_COLUMNS)]
    check_unique([name for name, _ in pods], file)
    return pods


def models_of(row: Row) -> tuple[str, ...]:
    """The models that a pod accepts, sorted; any if empty."""
    return tuple(sorted({model.strip() for model in row.text(MODELS_COLUMN).split("|")} - {""}))


def _need(row: Row) -> RequestClass:
    num_devices = row.whole("num_gpu")
    try:
        return RequestClass(
            cpu_milli=row.whole("cpu_milli"),
            memory_mib=row.whole("memory_mib"),
            num_devices=num_devices,
            share_milli=row.whole("gpu_milli", WHOLE if num_devices else 0),
            models=models_of(row) if num_devices else (),
        )
    except UsageError as error:
        raise ConfigurationError(
            "a pod asks for what cannot be", seen=f"{row.place}: {error.seen}", expected=error.expected
        ) from error
