"""How an engine learns what a machine has: from a function that the composition root names, never by looking itself.

Engines may not import the inventory. An engine of this machine is handed a `Node`; one whose agents run on other machines is
handed the name of the function, as `package.module:function`, and each agent calls it where it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from bedplate.core.devices import Node
from bedplate.core.errors import UsageError


def read_node(reader: str) -> Node:
    """The machine that this process is on.

    Raises:
        UsageError: `reader` names no function.
        BedplateError: What the function raises.
    """
    module, _, name = reader.partition(":")
    try:
        function: Callable[[], Node] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError("not a node reader", seen=reader, expected="package.module:function, importable here") from error
    return function()
