"""How people name this engine: `local`."""

from __future__ import annotations

from pathlib import Path

from bedplate.core.errors import UsageError
from bedplate.engines.local.engine import LocalEngine
from bedplate.engines.node_reader import read_node


def open_engine(root: Path, location: str, node_reader: str) -> LocalEngine:
    """The engine of this machine; see `engines/base.EngineOpener`.

    Raises:
        UsageError: A location was given; this machine has none.
        UnavailableError: Not on Linux.
    """
    if location:
        raise UsageError("the local engine is this machine", seen=f"local://{location}", expected="local")
    return LocalEngine(root, read_node(node_reader))
