"""Which service a client talks to, and with whose token."""

from pathlib import Path

import pytest

from bedplate.app.control.addresses import ServiceFiles
from bedplate.app.control.client.connect import connect
from bedplate.app.wiring import state_location
from bedplate.core.errors import UnavailableError

OWN, OTHER = "http://127.0.0.1:8420", "http://127.0.0.1:9999"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A state whose service listens at OWN, and keeps a token for its owner."""
    for name in ("BEDPLATE_URL", "BEDPLATE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    files = ServiceFiles.of(state_location(str(tmp_path)))
    files.folder.mkdir(parents=True)
    files.write_address({"url": OWN})
    files.write_token("secret")
    return str(tmp_path)


def test_the_kept_token_is_for_the_service_of_the_state(state: str) -> None:
    assert connect(state=state).url == OWN
    assert connect(state=state, url=OWN).url == OWN


def test_the_kept_token_goes_to_no_other_address(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDPLATE_URL", OTHER)
    with pytest.raises(UnavailableError, match="no token for the service") as refused:
        connect(state=state)
    assert refused.value.seen == OTHER
    monkeypatch.setenv("BEDPLATE_TOKEN", "theirs")
    assert connect(state=state).url == OTHER
