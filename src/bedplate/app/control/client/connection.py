"""HTTP to the service: JSON both ways, errors with their classes, no proxy and no redirect."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bedplate.core.errors import BedplateError, UnavailableError

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """To one service, as one user."""

    url: str
    """Of the schemes http and https, without a slash at its end."""
    token: str

    def send(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """Ask, and return the answer.

        Args:
            method: Of HTTP.
            path: With the query.
            body: Sent as JSON; nothing if None.

        Raises:
            UnavailableError: No service answers there.
            BedplateError: What the service says.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)  # noqa: S310  # http and https only: `connect`
        request.add_header("Authorization", f"Bearer {self.token}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
                return _read(answer.read(), self.url)
        except urllib.error.HTTPError as error:
            raise _as_error(error.read(), error.code, self.url) from None
        except (OSError, http.client.HTTPException) as error:
            raise _not_there(self.url, getattr(error, "reason", None) or error) from error


def _read(data: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _not_there(url, "an answer that is not the service's")
    return document


def _as_error(data: bytes, status: int, url: str) -> BedplateError:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "code" not in document:
        return _not_there(url, f"HTTP {status}: an answer that is not the service's")
    return BedplateError.from_json(document)


def _not_there(url: str, seen: object) -> UnavailableError:
    return UnavailableError(
        f"the service at {url} does not answer",
        seen=seen,
        expected="a service that was started with 'bedplate up'",
        next_step="start it again: the queue is kept",
    )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A service never redirects, and a token must not follow one."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)
