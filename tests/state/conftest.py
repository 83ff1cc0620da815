"""States to test on: an SQLite file and a real PostgreSQL server, one suite for both."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.state.database.location import StateLocation, read_location
from bedplate.state.store import StateStore
from tests.state.postgres import make_database, missing, running_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres_port() -> Iterator[int]:
    """The port of a running server; skips, naming what is missing."""
    if (what := missing()) is not None:
        pytest.skip(f"PostgreSQL: missing {what}")
    with running_server() as port:
        yield port


@pytest.fixture
def postgres_url(postgres_port: int) -> str:
    """The URL of an empty PostgreSQL database."""
    return make_database(postgres_port, f"test_{next(_NUMBERS)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def state_text(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What `--state` would say, for a state that does not exist yet."""
    if request.param == "sqlite":
        return str(tmp_path / "state")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def location(state_text: str, tmp_path: Path) -> StateLocation:
    return read_location(state_text, lambda: tmp_path / "home")


@pytest.fixture
def state(location: StateLocation) -> Iterator[StateStore]:
    store = StateStore.open(location)
    yield store
    store.close()
