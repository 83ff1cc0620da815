"""Environment of a task: threads, accelerators, what their vendors want, and import path.

Import path: the child gets this process's `sys.path` (without the standard library and site-packages, which its own
interpreter finds) as PYTHONPATH, so an entry that can be imported here can be imported there. `-P` keeps the working directory
out of it.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from bedplate.core.devices import Device
from bedplate.core.workload import Task, TaskPlacement

MARK_VARIABLE = "BEDPLATE_TASK"
"""Names the task in the environment of its process and of all its descendants."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def task_environment(task: Task, place: TaskPlacement, owned: Sequence[Device], mark: str) -> dict[str, str]:
    """This process's environment, and what the task must see differently; `Task.environment` has the last word.

    Args:
        task: What is to run.
        place: Where it runs.
        owned: All devices of the engine: accelerators that the task did not get are hidden from it.
        mark: Value of `MARK_VARIABLE`.
    """
    threads = str(len(place.cores))
    return {
        **os.environ,
        **dict.fromkeys(_THREAD_VARIABLES, threads),
        **_device_masks(owned, place.devices),
        **{name: value for device in owned if device.id in place.devices for name, value in device.runtime.environment.items()},
        "PYTHONPATH": os.pathsep.join(import_path()),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        **task.environment,
        MARK_VARIABLE: mark,
    }


def import_path() -> list[str]:
    """`sys.path` of this process without what any interpreter finds by itself."""
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")} | {
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
    paths = [str(Path(entry).resolve()) for entry in sys.path]
    zipped = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    kept = [entry for entry in paths if entry not in own and Path(entry).name not in (zipped, "lib-dynload")]
    return list(dict.fromkeys(kept))


def _device_masks(owned: Sequence[Device], granted: Sequence[str]) -> Mapping[str, str]:
    """Visibility variables that show the granted devices and hide the others that the engine owns.

    A variable of a vendor that the engine owns nothing of is left as it is.
    """
    masks: dict[str, list[str]] = {}
    for device in owned:
        if device.visibility is not None:
            words = masks.setdefault(device.visibility.variable, [])
            words += [device.visibility.word] if device.id in granted else []
    return {variable: ",".join(words) for variable, words in masks.items()}
