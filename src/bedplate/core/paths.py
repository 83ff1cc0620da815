"""Where bedplate keeps things: state and caches, by the XDG rules."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from bedplate.core.errors import UnavailableError


def state_home() -> Path:
    """`$XDG_STATE_HOME/bedplate`, else `~/.local/state/bedplate`: runs, logs, the state database.

    Raises:
        UnavailableError: This user has no home folder, and the variable is not set.
    """
    return _base("XDG_STATE_HOME", ".local/state") / "bedplate"


def cache_home() -> Path:
    """`$XDG_CACHE_HOME/bedplate`, else `~/.cache/bedplate`: models, texts; safe to delete.

    Raises:
        UnavailableError: This user has no home folder, and the variable is not set.
    """
    return _base("XDG_CACHE_HOME", ".cache") / "bedplate"


def _base(variable: str, below_home: str) -> Path:
    """The XDG rules ignore a variable that is empty or no absolute path, since its meaning would move with the caller."""
    written = os.environ.get(variable, "")
    return Path(written) if Path(written).is_absolute() else _home(variable) / below_home


def _home(variable: str) -> Path:
    written = os.environ.get("HOME", "")
    if Path(written).is_absolute():
        return Path(written)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise UnavailableError(
            "this user has no home folder to keep things in",
            seen=f"uid {os.getuid()} is in no user database, and HOME is {written or 'not set'}",
            expected=f"HOME or {variable}, an absolute path",
            next_step=f"set {variable} to a folder that you may write; for the state, --state FOLDER does as well",
        ) from None
