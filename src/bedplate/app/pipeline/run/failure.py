"""What is raised inside a run, as one error of ours: what happened, and what to do now."""

from __future__ import annotations

import errno

from bedplate.app.pipeline.run.cancellation import RESUME
from bedplate.core.errors import BedplateError, CancelledError, UnavailableError
from bedplate.core.json import JsonObject, plain
from bedplate.state.records import Status


def as_bedplate_error(raised: BaseException, who: str, run_id: str) -> BedplateError:
    """`raised` as a person reads it; `who` is a step or the run.

    The text of an error that is not ours becomes `seen`; its traceback is to be kept as an event `step.traceback`.
    """
    if isinstance(raised, BedplateError):
        return raised
    if isinstance(raised, KeyboardInterrupt):
        return CancelledError("the run was cancelled immediately", seen="KeyboardInterrupt", next_step=RESUME)
    if isinstance(raised, OSError) and raised.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(
            f"{who} failed: the disk is full",
            seen=raised,
            expected="some free space",
            next_step="free some, then run the same command again: finished steps are kept",
        )
    return BedplateError(
        f"{who} failed",
        seen=f"{type(raised).__name__}: {raised}",
        next_step=f"'bedplate events {run_id} --kind step.traceback' shows where",
    )


def status_after(error: BedplateError | None) -> Status:
    """How a run or step stands that ended with `error`."""
    if error is None:
        return Status.DONE
    return Status.CANCELLED if isinstance(error, CancelledError) else Status.FAILED


def error_as_json(error: BedplateError | None) -> JsonObject | None:
    """The form in which errors are stored."""
    if error is None:
        return None
    document = plain(error.as_json())
    assert isinstance(document, dict)
    return document
