"""The folder that training leaves behind, as far as it can be checked before the first step.

A run that fails while it writes its result has paid for all its steps: what can get in the way then (a folder where a
file is copied, a file that cannot be read, a place that cannot be written or is too small) is looked for at the start.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from bedplate.core.errors import ResourcesError, UnavailableError
from bedplate.core.files import check_replaceable
from bedplate.core.units import format_bytes
from bedplate.toolchain.models.card import RUN_FACTS, ModelKind, is_result_of
from bedplate.toolchain.models.derived import files_to_keep

TRAINING_FILE = RUN_FACTS
_EXPORT_BYTES = 2
"""Of a weight in the result, bf16."""
_SPARE_BYTES = 16 << 20
"""For the small files, the journal and the logs."""


def is_result(folder: Path) -> bool:
    """Whether a folder is the result of an earlier training to which nothing was added, so that a new one may replace it."""
    return is_result_of(folder, ModelKind.TRAINED)


def check_result_folder(base: Path, folder: Path, num_parameters: int, checkpoint_bytes: int) -> None:
    """Raise now what would otherwise be found when the trained model is written.

    Args:
        base: Folder of the model that training starts from.
        folder: Where the result is to appear.
        num_parameters: Weights of the model.
        checkpoint_bytes: Space that checkpoints take on the same disk.

    Raises:
        UsageError: `folder` exists and is not an earlier result.
        UnavailableError: A file of the base cannot be read, or the place cannot be written.
        ResourcesError: The disk has too little space.
    """
    check_replaceable(folder, is_result)
    copied = files_to_keep(base)
    for file in (base / "config.json", *copied):
        _check_readable(file)
    _check_writable(folder.parent)
    needed = num_parameters * _EXPORT_BYTES + checkpoint_bytes + sum(file.stat().st_size for file in copied) + _SPARE_BYTES
    if (free := shutil.disk_usage(folder.parent).free) < needed:
        raise ResourcesError(
            "the disk is too small for the trained model and its checkpoints",
            seen=f"{format_bytes(free)} free at {folder.parent}",
            expected=f"about {format_bytes(needed)}",
            next_step="free some space, or keep the state on another disk with --state",
        )


def _check_readable(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            stream.read(1)
    except OSError as error:
        raise UnavailableError(
            "a file of the model cannot be read", seen=f"{file}: {os.strerror(error.errno or 0)}", expected="a readable file"
        ) from error


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        raise UnavailableError(
            "the result cannot be written",
            seen=f"{folder}: {os.strerror(error.errno or 0)}",
            expected="a folder that can be written",
            next_step="change its rights, or keep the state elsewhere with --state",
        ) from error
