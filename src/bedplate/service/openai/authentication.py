"""Who may come in: whoever has the key. Compared in constant time, over digests, so that length does not show either."""

from __future__ import annotations

import hashlib
import hmac

from fastapi import Request

from bedplate.service.openai.errors import ApiError


def check_key(request: Request, api_key: str | None) -> None:
    """Let the request pass, or raise.

    Raises:
        ApiError: No key was sent, or another one (401).
    """
    if api_key is None:
        return
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(sent.strip()), _digest(api_key)):
        message = "wrong API key" if sent else "no API key: send 'Authorization: Bearer KEY'"
        raise ApiError(401, message, kind="invalid_request_error", code="invalid_api_key")


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(errors="surrogateescape")).digest()
