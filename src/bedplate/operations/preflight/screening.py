"""Screening: which slots of an engine are fit for a job, found out by work like the job's, and why the others are not.

One task holds each slot for the whole screening. First every slot is measured and compared with its kind, then those that
stand are paired, in two rounds. A task that dies or hangs is a finding about its slot, never the end of the screening.

On an over-subscribed engine (a core listed for several slots) slots are measured and paired one after another, and rates
are relative: they say what a slot did while the others waited. Of pairs, only the results are then judged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bedplate.core.json import JsonObject
from bedplate.core.workload import Gang, Resources, Task, TaskStatus
from bedplate.engines.base import Engine, GangHandle
from bedplate.operations.preflight.comparing import measure_slots
from bedplate.operations.preflight.measure import RateReport
from bedplate.operations.preflight.orders import OrderDesk
from bedplate.operations.preflight.pairing import pair_slots
from bedplate.operations.preflight.session import ScreeningLimits, Session
from bedplate.operations.preflight.verdicts import Pair, SlotVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotReport:
    """What is known of one slot after screening."""

    slot: int
    """Rank of the task that held it."""
    node: str
    cores: tuple[int, ...]
    rates: RateReport | None
    pair_seconds: Mapping[int, float | None]
    """Partner -> time of one all-reduce; None where it failed."""
    verdict: SlotVerdict
    reason: str = ""
    """Why it is not good; empty for a good one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What came out."""

    slots: tuple[SlotReport, ...]
    bad_links: tuple[Pair, ...]
    is_over_subscribed: bool
    seconds: float

    @property
    def good(self) -> tuple[SlotReport, ...]:
        """Slots that may be used."""
        return tuple(slot for slot in self.slots if slot.verdict is SlotVerdict.GOOD)


def screen_slots(
    engine: Engine,
    num_slots: int,
    cores_per_slot: int,
    limits: ScreeningLimits,
    *,
    say: Callable[[str], None] = lambda _line: None,
    check_cancelled: Callable[[], None] = lambda: None,
) -> Screening:
    """Hold `num_slots` slots of `engine`, try them, and judge each.

    Takes about 4 s to start, `budget_s` for all slots together (each, where over-subscribed) and a second for the pairs.

    Raises:
        ResourcesError: The engine has not that many free slots.
        BedplateError: Whatever `check_cancelled` raises.
    """
    began_s = time.monotonic()
    handles: list[GangHandle] = []

    def ended() -> set[int]:
        check_cancelled()
        return {task.rank for task in engine.status(handles[0]).tasks if task.state.is_final}

    desk = OrderDesk(ended)
    try:
        handles.append(engine.submit(_gang(num_slots, cores_per_slot, desk.contact, limits)))
        session = Session(engine, handles[0], desk, limits, say)
        desk.gather(set(session.slots), limits.start_timeout_s)
        session.note_losses("it started")
        session.one_by_one = _is_over_subscribed(engine, handles[0])
        measure_slots(session)
        bad_links = pair_slots(session)
        return _report(session, bad_links, time.monotonic() - began_s)
    finally:
        desk.close()
        for handle in handles:
            engine.wait(handle, 2.0)
            engine.cancel(handle, grace_s=0.5)


def _gang(num_slots: int, cores_per_slot: int, contact: JsonObject, limits: ScreeningLimits) -> Gang:
    task = Task(entry="bedplate.workers.screen:main", spec={"contact": contact}, resources=Resources(cpus=cores_per_slot))
    return Gang(name="screen", tasks=(task,) * num_slots, heartbeat_timeout_s=limits.hung_after_s)


def _is_over_subscribed(engine: Engine, handle: GangHandle) -> bool:
    tasks = engine.status(handle).tasks
    return max(Counter((task.node, core) for task in tasks for core in task.cores).values(), default=0) > 1


def _report(session: Session, bad_links: tuple[Pair, ...], seconds: float) -> Screening:
    tasks = session.engine.status(session.handle).tasks
    return Screening(
        slots=tuple(_slot_report(session, task) for task in tasks),
        bad_links=bad_links,
        is_over_subscribed=session.one_by_one,
        seconds=seconds,
    )


def _slot_report(session: Session, task: TaskStatus) -> SlotReport:
    slot = task.rank
    pairs = {pair: session.pair_seconds.get(pair) for pair in (*session.pair_seconds, *session.pair_errors) if slot in pair}
    reason = session.reasons.get(slot, "")
    bad = SlotVerdict.UNKNOWN if slot in session.undecided else SlotVerdict.BAD
    return SlotReport(
        slot=slot,
        node=task.node,
        cores=task.cores,
        rates=session.rates.get(slot),
        pair_seconds={b if slot == a else a: seconds for (a, b), seconds in pairs.items()},
        verdict=bad if reason else SlotVerdict.GOOD,
        reason=reason,
    )
