"""Errors as answers: a status, and the error as `-o json` prints it, so a client raises the same class again."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bedplate.core.errors import (
    BedplateError,
    CheckFailedError,
    ForbiddenError,
    NotFoundError,
    QueueFullError,
    UnavailableError,
    UsageError,
)

_STATUS: tuple[tuple[type[BedplateError], int], ...] = (
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (CheckFailedError, 409),
    (QueueFullError, 429),
    (UnavailableError, 503),
    (UsageError, 400),
)
_RETRY_AFTER_S = {429: 5, 503: 5}


class RefusedRequest(Exception):  # noqa: N818  # an answer, not a fault
    """A request that is answered with an error of ours and another status than its class has."""

    def __init__(self, status: int, error: BedplateError) -> None:
        super().__init__(str(error))
        self.status, self.error = status, error


def status_of(error: BedplateError) -> int:
    """The HTTP status of an error."""
    return next((status for cls, status in _STATUS if isinstance(error, cls)), 500)


def answer_error(error: BedplateError, status: int | None = None) -> JSONResponse:
    """The answer; a client that may come back learns when."""
    status = status or status_of(error)
    headers = {"Retry-After": str(_RETRY_AFTER_S[status])} if status in _RETRY_AFTER_S else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error.as_json(), status_code=status, headers=headers)


async def on_bedplate_error(_request: Request, error: Exception) -> JSONResponse:
    """An error of the tree."""
    assert isinstance(error, BedplateError)
    return answer_error(error)


async def on_refused(_request: Request, error: Exception) -> JSONResponse:
    """A request that was refused before it reached a call."""
    assert isinstance(error, RefusedRequest)
    return answer_error(error.error, error.status)


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """An error of the framework: no such path, wrong method."""
    assert isinstance(error, HTTPException)
    cls = NotFoundError if error.status_code == 404 else UsageError
    seen = f"{request.method} {request.url.path}"
    return answer_error(cls(str(error.detail), seen=seen, next_step="see docs/service.md for the routes"), error.status_code)


async def on_fault(_request: Request, error: Exception) -> JSONResponse:
    """A fault of ours; the framework logs its traceback, and its text stays there."""
    fault = BedplateError(f"the service failed on this request: {type(error).__name__}", next_step="see the service's log")
    return answer_error(fault, 500)
