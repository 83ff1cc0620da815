"""Which service is meant, and who is asking."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from bedplate.app.control.addresses import ServiceFiles
from bedplate.app.control.client.client import ControlClient
from bedplate.app.wiring import state_location
from bedplate.core.errors import UnavailableError, UsageError


def connect(*, url: str | None = None, token: str | None = None, state: str | None = None) -> ControlClient:
    """The service at `url`, or that of a state of this user.

    Args:
        url: Where it listens; BEDPLATE_URL if it is not given, else what the service of `state` has written down.
        token: Who is asking; BEDPLATE_TOKEN if it is not given, else the token that `bedplate up` kept for this user, which
            is sent nowhere but to the address that the service of `state` has written down.
        state: As of `bedplate.run`.

    Raises:
        UnavailableError: There is no such service, or no token.
        UsageError: Not the address of a service.
    """
    files = ServiceFiles.of(state_location(state))
    found_url = url or os.environ.get("BEDPLATE_URL") or files.url()
    if found_url is None:
        raise UnavailableError(
            "no service of this state is running",
            seen=files.folder,
            expected="a service that was started with 'bedplate up'",
            next_step="start it, or name one by BEDPLATE_URL and BEDPLATE_TOKEN",
        )
    parts = urlsplit(found_url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError("not the address of a service", seen=found_url, expected="http://HOST:PORT")
    kept = files.token() if found_url == files.url() else None  # of no concern to any other address
    found_token = token or os.environ.get("BEDPLATE_TOKEN") or kept
    if found_token is None:
        raise UnavailableError(
            "there is no token for the service",
            seen=found_url,
            expected=f"BEDPLATE_TOKEN; {files.token_file} is sent to the service of that state only",
            next_step="ask an admin ('bedplate users add NAME'); 'bedplate up --new-token' makes another for its owner",
        )
    return ControlClient(url=found_url.rstrip("/"), token=found_token)
