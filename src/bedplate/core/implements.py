"""`@implements(Protocol)`: a method whose documentation is the protocol's.

The docstring is copied, so `help()` shows it and no implementation repeats it; the linter asks for none (`pyproject.toml`). A
name that the protocol does not have fails at import. `typing.override` would want the protocol as a base class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def implements(protocol: object) -> Callable[[F], F]:
    """Give the function below the docstring of the method or property of the same name in `protocol`; goes below `@property`.

    Raises:
        AttributeError: The protocol has no such member.
    """

    def document(function: F) -> F:
        function.__doc__ = getattr(protocol, function.__name__).__doc__
        return function

    return document
