"""One scheduler per state: a lock file beside the database, and for PostgreSQL a lock in it.

The kernel releases the one, the server the other, however their holder ends. The session of the second can be lost while its
holder works (the server restarts): `is_held` asks, takes it again where nobody else has it, and is asked before every decision.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from bedplate.app.pipeline.run.lock import holding, read_holder
from bedplate.app.pipeline.run.process import identity_as_json, identity_from_json, this_process
from bedplate.core.errors import UnavailableError
from bedplate.state.store import StateStore

NAME = "scheduler"


@contextlib.contextmanager
def sole_scheduler(state: StateStore) -> Iterator[Callable[[], bool]]:
    """Be the only scheduler of `state` while inside; gives `is_held`.

    Raises:
        UnavailableError: Another process is (named); or files cannot be locked, or the folder cannot be written.
    """
    folder = state.database.location.control_folder
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UnavailableError(
            "the service's folder cannot be made",
            seen=f"{folder}: {error.strerror}",
            expected="a writable folder beside the state",
            next_step="fix its permissions, or choose another place with --state FOLDER",
        ) from error
    with holding(folder) as is_ours:
        if not is_ours:
            raise _taken(read_holder(folder))
        with state.locks.hold(NAME) as lock:
            if lock is None:
                document = state.services.get(NAME) or {}
                raise _taken(identity_from_json(document.get("holder")))
            state.services.set(NAME, {"holder": identity_as_json(this_process()), "since_s": state.clock.now()})
            yield lock.take


def _taken(holder: object) -> UnavailableError:
    return UnavailableError(
        "this state has a scheduler already",
        seen=holder or "a process that did not say who it is",
        expected="one scheduler per state",
        next_step="use it ('bedplate queue'), end it, or choose another state with --state",
    )
