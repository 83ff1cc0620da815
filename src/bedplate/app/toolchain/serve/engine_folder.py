"""The folder that `bedplate serve` gives its engine for logs and scratch: gone at the end, also after a violent one.

A folder in the temporary directory cannot be removed by a process that is killed, so each start removes what dead ones left.
A folder is known to be dead, and ours, by an owner file that its process keeps locked: the kernel gives the lock back however
the process ends. The file is made and locked before the folder gets its name, so no other start sees it unlocked.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bedplate.core.files import try_lock

PREFIX = "bedplate-serve-"
OWNER_FILE = "owner"
_OWNER = b"bedplate serve\n"
"""Content of the owner file."""


@contextmanager
def engine_folder(parent: Path | None = None) -> Iterator[Path]:
    """An empty folder of this process, removed at the end; removes those of dead processes first.

    Args:
        parent: Where the folder is made; None: the directory for temporary files.
    """
    parent = parent or Path(tempfile.gettempdir())
    remove_dead(parent)
    with ExitStack() as stack:
        unnamed = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=parent))
        stack.callback(shutil.rmtree, unnamed, ignore_errors=True)
        owner = stack.enter_context((unnamed / OWNER_FILE).open("xb"))
        owner.write(_OWNER)
        owner.flush()
        try_lock(owner.fileno(), unnamed / OWNER_FILE)
        folder = unnamed.rename(parent / f"{PREFIX}{secrets.token_hex(8)}")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def remove_dead(parent: Path) -> None:
    """Remove the folders in `parent` that processes of this user left when they were killed."""
    for folder in parent.glob(f"{PREFIX}*"):
        if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
            continue
        try:
            with (folder / OWNER_FILE).open("r+b") as owner:
                if owner.read(len(_OWNER) + 1) == _OWNER and try_lock(owner.fileno(), folder / OWNER_FILE):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # no owner file: not ours; or another start was quicker
            continue
