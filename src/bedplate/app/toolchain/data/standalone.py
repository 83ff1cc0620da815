"""`bedplate text fetch`: a text of the catalog into the cache."""

from __future__ import annotations

from bedplate.app.toolchain.data.text import download
from bedplate.app.wiring import service_events
from bedplate.core.errors import NotFoundError, check_known
from bedplate.core.json import JsonObject
from bedplate.core.reporter import Reporter
from bedplate.toolchain.data.catalog import TEXTS


def fetch_text(name: str, reporter: Reporter) -> JsonObject:
    """Put a text into the cache; `text`, `file`, and what is known of it.

    Raises:
        NotFoundError: Not in the catalog; names the nearest that is.
        See `fetch_wheel_file` for the rest.
    """
    check_known(name, TEXTS, "unknown text", error=NotFoundError)
    known = TEXTS[name]
    with service_events("text") as events:
        file = download(known, reporter, events)
    return {"text": name, "file": str(file), "source": known.source, "licence": known.licence, "notes": known.notes}
