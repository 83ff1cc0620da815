"""Entries that `test_gangs.py` runs in real processes."""

import os
import signal
import threading

from bedplate.core.errors import CancelledError, IntegrityError
from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext, worker_errors


def counts(context: TaskContext) -> JsonObject:
    context.progress(say=f"rank {context.rank} is here")
    context.progress(done=3, total=4, unit="things")
    return {"rank": context.rank}


def breaks_while_the_other_waits(context: TaskContext) -> JsonObject:
    if context.rank == 1:
        print("about to divide", flush=True)
        return {"never": 1 // 0}
    threading.Event().wait(60)
    return {}


def waits(context: TaskContext) -> JsonObject:
    context.progress(done=0, total=1, unit="ages")
    threading.Event().wait(60)
    return {}


@worker_errors
def finds_damage(context: TaskContext) -> JsonObject:
    raise IntegrityError("a shard is damaged", seen="ab", expected="cd", next_step="make it again")


@worker_errors
def stops_at_sigterm(context: TaskContext) -> JsonObject:
    """Ends tidily when it is asked to, as a server does."""
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    context.progress(pid=os.getpid())
    asked.wait(60)
    raise CancelledError("the server was told to stop")
