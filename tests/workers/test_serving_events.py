"""A server is no run, and still leaves in the state when it listened and why it ended."""

import json
import signal
import socket
from pathlib import Path
from typing import Any

from tests.workers.test_serving import Home


def events_of(home: Home) -> list[dict[str, Any]]:
    process = home.start("events", "--subject", "service:serve", "-o", "json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    events: list[dict[str, Any]] = json.loads(out)["events"]
    return events


def test_a_server_tells_when_it_listens_and_that_it_was_stopped(tmp_path: Path, tiny_model: Path) -> None:
    home = Home(folder=tmp_path)
    with home.serving(tiny_model, "--kv", "off", end=signal.SIGTERM) as ready:
        url = ready["url"]
    started, stopped = events_of(home)
    assert (started["kind"], started["attributes"]) == ("service.started", {"url": url, "model": ready["model"]})
    assert (stopped["kind"], stopped["severity"]) == ("service.stopped", "info")
    assert started["subject"] == {"kind": "service", "id": "serve"}


def test_a_server_that_cannot_start_tells_why(tmp_path: Path, tiny_model: Path) -> None:
    home = Home(folder=tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = home.start("serve", tiny_model, "--kv", "off", "--port", taken.getsockname()[1])
        process.communicate(timeout=60)
    (stopped,) = events_of(home)
    assert stopped["severity"] == "error"
    assert "in use" in stopped["attributes"]["reason"]
