"""A method that implements a protocol has the protocol's documentation, and a slip in its name is found at import."""

from __future__ import annotations

from typing import Protocol

import pytest

from bedplate.core.implements import implements


class Greeter(Protocol):
    """Greets."""

    @property
    def language(self) -> str:
        """Language of the greeting."""
        ...

    def greet(self, name: str) -> str:
        """A greeting for `name`."""
        ...


class English:
    """A Greeter."""

    @property
    @implements(Greeter)
    def language(self) -> str:
        return "en"

    @implements(Greeter)
    def greet(self, name: str) -> str:
        return f"Hello {name}"


def test_docstrings_come_from_the_protocol() -> None:
    assert English.greet.__doc__ == "A greeting for `name`."
    assert English.language.__doc__ == "Language of the greeting."
    assert English().greet("Ada") == "Hello Ada"


def test_unknown_member_is_refused() -> None:
    def greets(self: object) -> None: ...

    with pytest.raises(AttributeError, match="greets"):
        implements(Greeter)(greets)
