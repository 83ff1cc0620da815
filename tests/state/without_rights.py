"""Commands without root's right to ignore permissions, so that a read-only folder is one for root's tests too."""

import ctypes
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1


def run_without_rights(
    words: Sequence[str], environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `words`; permissions of files hold for it whoever the user is."""
    options: dict[str, Any] = {"preexec_fn": _drop} if os.getuid() == 0 else {}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment, timeout=120, **options)


def make_read_only(folder: Path) -> None:
    """Take all write permissions away, deepest first."""
    for path in sorted(folder.rglob("*"), key=lambda path: len(path.parts), reverse=True):
        path.chmod(path.stat().st_mode & ~0o222)
    folder.chmod(folder.stat().st_mode & ~0o222)


def make_writable(folder: Path) -> None:
    """Undo `make_read_only` for the owner."""
    folder.chmod(folder.stat().st_mode | 0o200)
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode | 0o200)


def _drop() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the capability could not be dropped")
