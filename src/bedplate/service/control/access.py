"""Who a request is from, and whether it may be answered at all.

A token is needed for everything but `/health`. Beside it, `Host` must name this machine (or a proxy that was allowed), and
`Origin`, where there is one, the same: a page that is open in a browser on this machine can point a name of its own at
127.0.0.1, and must not get an answer even if it has a token. Tokens are compared as digests: what is compared tells nothing
about what is secret.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from bedplate.app.control.calls.access import Caller
from bedplate.app.control.calls.api import ControlApi
from bedplate.core.addresses import is_loopback
from bedplate.core.errors import ForbiddenError, UsageError
from bedplate.service.control.errors import RefusedRequest
from bedplate.service.openai.access import host_name


def caller_of(request: Request, api: ControlApi) -> Caller:
    """Whose token the request carries.

    Raises:
        RefusedRequest: None, or nobody's (401).
    """
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    caller = api.caller(sent.strip()) if scheme.lower() == "bearer" and sent.strip() else None
    if caller is None:
        error = ForbiddenError(
            "this token is not valid" if sent else "no token was sent",
            expected="Authorization: Bearer TOKEN",
            next_step="set BEDPLATE_TOKEN, or ask an admin of the service for one",
        )
        raise RefusedRequest(401, error)
    return caller


def check_host(request: Request, allowed: tuple[str, ...]) -> None:
    """Let a request pass that was sent to this machine by name, and not by a page of another site.

    Raises:
        RefusedRequest: It was not (403).
    """
    origin = request.headers.get("origin")
    names = {"Host": host_name(request.headers.get("host", ""))}
    if origin is not None:
        names["Origin"] = host_name(urlsplit(origin).netloc)
    for header, name in names.items():
        if not (is_loopback(name) or name.lower() in allowed):
            error = ForbiddenError(
                f"{header} names another machine",
                seen=name[:200],
                expected=", ".join(("this machine's own names", *allowed)),
                next_step="name a proxy before the service by --allow-host",
            )
            raise RefusedRequest(403, error)


def check_json(request: Request) -> None:
    """Let a JSON body pass; a page of another site cannot declare one without asking first.

    Raises:
        RefusedRequest: It is declared as something else, or as nothing (415).
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != "application/json":
        seen = declared or "of no declared type"
        raise RefusedRequest(
            415, UsageError("the body must be JSON", seen=seen[:100], expected="Content-Type: application/json")
        )
