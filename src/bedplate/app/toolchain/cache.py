"""Entries of the cache: one process makes an entry at a time, and a second one waits and finds it made."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from bedplate.core.files import file_lock
from bedplate.core.reporter import Reporter


def lock_entry(target: Path, reporter: Reporter) -> AbstractContextManager[None]:
    """Hold the lock of the cache entry `target`; see `core.files.file_lock` for the errors."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return file_lock(target.with_name(f".{target.name}.lock"), reporter, f"is making {target.name}")
