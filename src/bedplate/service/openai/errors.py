"""Errors as OpenAI clients expect them: a status, and `{"error": {message, type, param, code}}`."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse

from bedplate.core.errors import BedplateError, ContextLengthError, QueueFullError, UnavailableError, UsageError

RETRY_AFTER_S = 1


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, *, kind: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code, self.param = status, message, kind, code, param

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The answer; a client that may come back is told when."""
        headers = {"Retry-After": str(RETRY_AFTER_S)} if self.status in (429, 503) else None
        return JSONResponse(self.body(), status_code=self.status, headers=headers)


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """400."""
    return ApiError(400, message, kind="invalid_request_error", code=code, param=param)


def from_engine(error: BedplateError) -> ApiError:
    """What an engine's refusal is in HTTP."""
    if isinstance(error, ContextLengthError):
        return bad_request(str(error), code="context_length_exceeded")
    if isinstance(error, UsageError):
        return bad_request(str(error))
    if isinstance(error, QueueFullError):
        return ApiError(429, str(error), kind="rate_limit_error", code="engine_overloaded")
    if isinstance(error, UnavailableError):
        return ApiError(503, str(error), kind="server_error", code="engine_unavailable")
    return ApiError(500, str(error), kind="server_error", code=error.code)
