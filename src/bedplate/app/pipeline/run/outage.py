"""A state's server that is away for a while costs a run no step: what is to be stored is tried again until it is back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError
from bedplate.core.units import format_duration
from bedplate.state.database.driver_errors import is_outage

Answer = TypeVar("Answer")

MAX_OUTAGE_S = 300.0
_TRY_EVERY_S = 1.0


def through_outages(action: Callable[[], Answer], clock: Clock, say: Callable[[str], None]) -> Answer:
    """What `action` returns; tried again while the state's server cannot be reached, for `MAX_OUTAGE_S` at most.

    Args:
        action: Must do no harm when it is done twice: the answer to a commit may be lost.
        clock: Waits between two tries.
        say: Given one line when the waiting begins.

    Raises:
        UnavailableError: The server did not come back in time.
        BedplateError: What else `action` raises.
    """
    deadline_s, is_reported = clock.now() + MAX_OUTAGE_S, False
    while True:
        try:
            return action()
        except BedplateError as error:
            if not is_outage(error) or clock.now() >= deadline_s:
                raise
            if not is_reported:
                say(f"{error.what}; trying again for up to {format_duration(MAX_OUTAGE_S)}")
                is_reported = True
        clock.wait(_TRY_EVERY_S)
