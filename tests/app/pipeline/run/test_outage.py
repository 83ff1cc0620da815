"""What is to be stored during an outage is tried again, and only then."""

from collections.abc import Callable

import pytest
from sqlalchemy import exc

from bedplate.app.pipeline.run.outage import MAX_OUTAGE_S, through_outages
from bedplate.core.clock import VirtualClock
from bedplate.core.errors import BedplateError, UnavailableError


class DriverError(Exception):
    """As psycopg's: with a code of the server, or without one where no server answered."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("away")
        self.sqlstate = sqlstate


def away(sqlstate: str | None) -> BedplateError:
    error = UnavailableError("the server cannot be reached")
    error.__cause__ = exc.OperationalError("SELECT 1", {}, DriverError(sqlstate))
    return error


def failing(times: int, error: BedplateError) -> Callable[[], str]:
    left = [error] * times

    def action() -> str:
        if left:
            raise left.pop()
        return "stored"

    return action


@pytest.mark.parametrize("sqlstate", [None, "08006", "57P01", "57P03"])
def test_an_outage_is_waited_for_and_reported_once(sqlstate: str | None) -> None:
    said: list[str] = []
    clock = VirtualClock()
    assert through_outages(failing(5, away(sqlstate)), clock, said.append) == "stored"
    assert said == ["the server cannot be reached; trying again for up to 5m 00s"]
    assert clock.now() == 5.0


def test_an_outage_without_end_is_an_error() -> None:
    clock = VirtualClock()
    with pytest.raises(UnavailableError):
        through_outages(failing(10**6, away(None)), clock, lambda line: None)
    assert clock.now() == MAX_OUTAGE_S


@pytest.mark.parametrize("error", [away("53100"), UnavailableError("the disk under the state is full")])
def test_what_no_waiting_cures_is_raised_immediately(error: BedplateError) -> None:
    clock = VirtualClock()
    with pytest.raises(UnavailableError):
        through_outages(failing(1, error), clock, lambda line: None)
    assert clock.now() == 0.0
