"""Who may use the server: those who have the key, or, where there is none, programs on this machine.

Keys are compared in constant time, over digests, so that not even the length shows. A server without a key must not be
reachable from a web page that is open in a browser on this machine: a page can send simple requests anywhere, and can
point a name of its own at 127.0.0.1. So `Host` and `Origin` must name this machine, and bodies must be declared as JSON, which
a page cannot do without a preflight request.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from fastapi import Request

from bedplate.core.addresses import is_loopback
from bedplate.service.openai.errors import ApiError


def check_access(request: Request, api_key: str | None) -> None:
    """Let the request pass, or raise.

    Raises:
        ApiError: No key was sent, or another one (401); without keys: it was not sent to this machine by name, or comes from
            a page of another site (403).
    """
    if api_key is None:
        _check_local(request)
        return
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(sent.strip()), _digest(api_key)):
        message = "wrong API key" if sent else "no API key: send 'Authorization: Bearer KEY'"
        raise ApiError(401, message, code="invalid_api_key")


def check_content_type(request: Request) -> None:
    """Let a JSON body pass, or raise.

    Raises:
        ApiError: The body is declared as something else, or as nothing (415).
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != "application/json":
        message = f"the body is '{declared or 'of no declared type'}': send 'Content-Type: application/json'"
        raise ApiError(415, message, code="unsupported_media_type")


def _check_local(request: Request) -> None:
    host = host_name(request.headers.get("host", ""))
    if not is_loopback(host):
        message = f"a server without a key answers to this machine's own names only; this request is for '{host}'"
        raise ApiError(403, message, code="host_not_allowed")
    origin = request.headers.get("origin")
    if origin is not None and not is_loopback(host_name(urlsplit(origin).netloc)):
        message = f"a server without a key does not answer pages of other sites; this request comes from '{origin}'"
        raise ApiError(403, message, code="origin_not_allowed")


def host_name(host: str) -> str:
    """The name in `name:port` or `[address]:port`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(errors="surrogateescape")).digest()
