"""Reading requests strictly: what is not known is refused by name, in the query as in the body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fastapi import Request

from bedplate.app.control.calls.paging import PAGE, PageRequest
from bedplate.core.errors import MessageError, UsageError, check_known
from bedplate.core.messages import from_bytes
from bedplate.service.control.access import check_json
from bedplate.service.control.errors import RefusedRequest

Body = TypeVar("Body")
_OF_A_PAGE = ("limit", "order", "cursor")
_MANY = ("phase", "tenant")


class Query:
    """The query of a request, whose keys are all known.

    Raises:
        UsageError: A key that is not known, or is given twice and may not be.
    """

    def __init__(self, request: Request, *known: str) -> None:
        self._values: dict[str, list[str]] = {}
        for key, value in request.query_params.multi_items():
            check_known(key, known, "no such query key")
            if key in self._values and key not in _MANY:
                raise UsageError(f"'{key}' is given twice", seen=value[:80], expected="one value")
            self._values.setdefault(key, []).append(value)

    def text(self, key: str) -> str | None:
        """One value, or None."""
        return self._values[key][0] if key in self._values else None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """All values, or None."""
        return tuple(self._values[key]) if key in self._values else None

    def number(self, key: str, default: int) -> int:
        """A whole number of 0 or more.

        Raises:
            UsageError: It is none.
        """
        text = self.text(key)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise UsageError(f"'{key}' is no whole number", seen=text[:80], expected="0 or more")
        return int(text)

    def page(self) -> PageRequest:
        """Which page is wanted.

        Raises:
            UsageError: No such size.
        """
        return PageRequest(limit=self.number("limit", PAGE), order=self.text("order") or "", cursor=self.text("cursor"))


def list_query(request: Request, *filters: str) -> Query:
    """The query of a list."""
    return Query(request, *filters, *_OF_A_PAGE)


def choices(words: Sequence[str] | None, known: Sequence[str], what: str) -> tuple[str, ...] | None:
    """Words of a filter, each known.

    Raises:
        UsageError: One is not.
    """
    for word in words or ():
        check_known(word, known, what)
    return None if words is None else tuple(words)


async def read_body(request: Request, cls: type[Body], limit: int) -> Body:
    """The body as `cls`.

    Raises:
        RefusedRequest: It is no JSON (415), or too large (413).
        UsageError: It is not what was agreed; names the field.
    """
    check_json(request)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            error = UsageError("the body is too large", seen=f"more than {limit} bytes", expected=f"at most {limit}")
            raise RefusedRequest(413, error)
    try:
        return from_bytes(cls, bytes(body))
    except (MessageError, RecursionError) as error:
        what = error.what if isinstance(error, MessageError) else "the body is nested too deep"
        seen = error.seen if isinstance(error, MessageError) else None
        expected = error.expected if isinstance(error, MessageError) else None
        raise UsageError(what, seen=seen, expected=expected or f"the fields of {cls.__name__}") from error
