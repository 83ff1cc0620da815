"""Where bedplate keeps things: state and caches, by the XDG rules."""

from __future__ import annotations

import os
from pathlib import Path


def state_home() -> Path:
    """`$XDG_STATE_HOME/bedplate`, else `~/.local/state/bedplate`: runs, logs, the state database."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "bedplate"


def cache_home() -> Path:
    """`$XDG_CACHE_HOME/bedplate`, else `~/.cache/bedplate`: models, texts; safe to delete."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bedplate"
