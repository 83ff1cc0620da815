"""Errors as OpenAI clients expect them: a status, and `{"error": {message, type, param, code}}`.

An `ApiError` is an HTTP answer, not an error of bedplate: its code is OpenAI's, and it never leaves the server process. What
the engine raises (`core.errors`) becomes one in `from_engine`.
"""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bedplate.core.errors import BedplateError, ContextLengthError, QueueFullError, UnavailableError, UsageError

RETRY_AFTER_S = {429: 1, 503: 5}
"""Seconds after which a client that got this status should try again: a queue moves soon, a restart takes a while."""


class ApiError(HTTPException):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: For people; names what was wrong.
        kind: OpenAI's `type`: `invalid_request_error`, `rate_limit_error`, `server_error`.
        code: OpenAI's `code`, for programs.
        param: The field at fault, as `messages[0].role`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(status, message)
        self.message, self.kind, self.code, self.param = message, kind, code, param

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The answer; a client that may come back learns when."""
        headers = dict(self.headers or {})
        if self.status_code in RETRY_AFTER_S:
            headers["Retry-After"] = str(RETRY_AFTER_S[self.status_code])
        return JSONResponse(self.body(), status_code=self.status_code, headers=headers)


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """400: the request is wrong."""
    return ApiError(400, message, code=code, param=param)


def shutting_down() -> ApiError:
    """503: the server is stopping."""
    return ApiError(503, "the server is shutting down; try again later", kind="server_error", code="server_shutting_down")


def internal_error(error: Exception) -> ApiError:
    """500: a fault of ours; its text stays in the log."""
    message = f"the server failed on this request: {type(error).__name__}"
    return ApiError(500, message, kind="server_error", code="internal_error")


def from_http(error: HTTPException, method: str, path: str) -> ApiError:
    """An error of the framework (no such path, wrong method) in OpenAI's shape."""
    if isinstance(error, ApiError):
        return error
    codes = {404: "unknown_url", 405: "method_not_allowed"}
    answer = ApiError(error.status_code, f"{method} {path}: {error.detail}", code=codes.get(error.status_code))
    answer.headers = error.headers
    return answer


def from_engine(error: BedplateError) -> ApiError:
    """What an engine's refusal is in HTTP."""
    if isinstance(error, ContextLengthError):
        return bad_request(str(error), code="context_length_exceeded")
    if isinstance(error, UsageError):
        return bad_request(str(error), code="invalid_value")
    if isinstance(error, QueueFullError):
        return ApiError(429, str(error), kind="rate_limit_error", code="engine_overloaded")
    if isinstance(error, UnavailableError):
        return ApiError(503, str(error), kind="server_error", code="engine_unavailable")
    return ApiError(500, str(error), kind="server_error", code=error.code)
