"""One Ray node as a task of the local engine: `ray start`, then nothing until the end.

`ray start` leaves daemons behind that outlive the process that started them. Under a keeper they do not: anything that
ends this task, a kill included, ends them all, and Ray's session directory goes with the task's scratch directory.
"""

from __future__ import annotations

import signal
from pathlib import Path

from bedplate.core.task import TaskContext


def main(context: TaskContext) -> None:
    """Start a node with the `arguments` of the spec; reports its cluster's `address` when it has joined, then stays."""
    from ray.scripts.scripts import cli

    arguments = [str(argument) for argument in context.spec["arguments"]]  # type: ignore[union-attr]
    cli(["start", "--disable-usage-stats", "--temp-dir", context.scratch, *arguments], standalone_mode=False)
    address_file = Path(context.scratch) / "ray_current_cluster"  # a head writes it
    context.progress(address=address_file.read_text().strip() if address_file.exists() else "")
    while True:
        signal.pause()
