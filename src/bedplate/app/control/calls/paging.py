"""Pages of lists: every list has a filter, an order and a page. A cursor continues after what was seen last."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bedplate.core.errors import UsageError, check_known

Item = TypeVar("Item")
MAX_PAGE = 1_000
PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Which page of a list."""

    limit: int = PAGE
    """Items at most."""
    order: str = ""
    """One of the orders of the list; empty: its first."""
    cursor: str | None = None
    """`next` of the page before; None: the first page."""

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_PAGE:
            raise UsageError("no such size of a page", seen=self.limit, expected=f"1 to {MAX_PAGE}")

    def ordered_by(self, orders: Sequence[str]) -> str:
        """The order that is wanted.

        Raises:
            UsageError: The list has no such order.
        """
        order = self.order or orders[0]
        check_known(order, orders, "no such order")
        return order

    def after(self, order: str) -> int | str | None:
        """What was seen last.

        Raises:
            UsageError: The cursor is none, or of a list in another order.
        """
        if self.cursor is None:
            return None
        try:
            made_for, last = json.loads(base64.urlsafe_b64decode(self.cursor.encode()))
        except (ValueError, TypeError):
            made_for, last = None, None
        if made_for != order or not isinstance(last, int | str):
            raise UsageError(
                "no such cursor", seen=self.cursor[:80], expected="'next' of the page before, with the same order and filter"
            )
        return last


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page."""

    items: tuple[Item, ...]
    next: str | None
    """Cursor of the next page; None: this is the last."""


def page_of(items: Sequence[Item], wanted: PageRequest, order: str, last: Callable[[Item], int | str]) -> Page[Item]:
    """The page that holds `items`, of which one more than its limit was asked for."""
    shown = tuple(items[: wanted.limit])
    is_last = len(items) <= wanted.limit
    return Page(items=shown, next=None if is_last or not shown else _cursor(order, last(shown[-1])))


def page_by_name(items: Sequence[Item], wanted: PageRequest, name: Callable[[Item], str]) -> Page[Item]:
    """A page of a list that is at hand, by name or its reverse."""
    order = wanted.ordered_by(("name", "-name"))
    after = wanted.after(order)
    ordered = sorted(items, key=name, reverse=order == "-name")
    if isinstance(after, str):
        ordered = [item for item in ordered if (name(item) < after if order == "-name" else name(item) > after)]
    return page_of(ordered, wanted, order, name)


def _cursor(order: str, last: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps([order, last]).encode()).decode()
