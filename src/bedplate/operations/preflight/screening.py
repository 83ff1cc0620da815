"""Screening: which slots of an engine are fit for a job, found out by work like the job's, and why the others are not.

One task holds each slot throughout the screening. First every slot is measured and compared with its kind, then the
remaining ones are paired, in two rounds. A task that dies or hangs is replaced once; the second time
it is a finding about its slot. It never ends the screening.

On an over-subscribed engine (a core listed for several slots) slots are measured and paired one after another, and rates
are relative: they show what a slot did while the others waited. Of pairs, only the results are then judged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.reporter import NullReporter, Reporter
from bedplate.engines.base import Engine
from bedplate.operations.preflight.comparing import measure_slots
from bedplate.operations.preflight.measure import RateReport
from bedplate.operations.preflight.pairing import pair_slots
from bedplate.operations.preflight.session import ScreeningLimits, Session
from bedplate.operations.preflight.verdicts import Pair, SlotVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotReport:
    """What is known of one slot after screening."""

    slot: int
    """Its number, from 0."""
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
        """Slots with no finding against them."""
        return self._with_verdict(SlotVerdict.GOOD)

    @property
    def disturbed(self) -> tuple[SlotReport, ...]:
        """Slots that were slow because of other work: to be used where there are not enough good ones."""
        return self._with_verdict(SlotVerdict.DISTURBED)

    def _with_verdict(self, verdict: SlotVerdict) -> tuple[SlotReport, ...]:
        return tuple(slot for slot in self.slots if slot.verdict is verdict)

    def kept(self, num_wanted: int) -> tuple[SlotReport, ...]:
        """Slots that a job may use: the good ones, and the disturbed ones where fewer than `num_wanted` are good."""
        return self.good if len(self.good) >= num_wanted else self.good + self.disturbed


def screen_slots(
    engine: Engine,
    num_slots: int,
    cores_per_slot: int,
    limits: ScreeningLimits,
    reporter: Reporter | None = None,
) -> Screening:
    """Hold `num_slots` slots of `engine`, try them, and judge each.

    Takes about 4 s to start, `budget_s` for all slots together (each, where over-subscribed) and a second for the pairs.

    Raises:
        ResourcesError: The engine has not that many free slots.
        CancelledError: From `reporter`.
    """
    began_s = time.monotonic()
    session = Session(engine, limits, cores_per_slot, reporter or NullReporter())
    try:
        session.start(num_slots)
        session.one_by_one = _is_over_subscribed(session)
        measure_slots(session)
        bad_links = pair_slots(session)
        return _report(session, bad_links, time.monotonic() - began_s)
    finally:
        session.close()


def _is_over_subscribed(session: Session) -> bool:
    tasks = [session.status(slot) for slot in session.members]
    return max(Counter((task.node, core) for task in tasks for core in task.cores).values(), default=0) > 1


def _report(session: Session, bad_links: tuple[Pair, ...], seconds: float) -> Screening:
    return Screening(
        slots=tuple(_slot_report(session, slot) for slot in sorted(session.members)),
        bad_links=bad_links,
        is_over_subscribed=session.one_by_one,
        seconds=seconds,
    )


def _slot_report(session: Session, slot: int) -> SlotReport:
    task = session.status(slot)
    pairs = {pair: session.pair_seconds.get(pair) for pair in (*session.pair_seconds, *session.pair_errors) if slot in pair}
    return SlotReport(
        slot=slot,
        node=task.node,
        cores=task.cores,
        rates=session.rates.get(slot),
        pair_seconds={b if slot == a else a: seconds for (a, b), seconds in pairs.items()},
        verdict=_verdict(session, slot),
        reason=session.reasons.get(slot, session.disturbed.get(slot, "")),
    )


def _verdict(session: Session, slot: int) -> SlotVerdict:
    if slot in session.reasons:
        return SlotVerdict.UNKNOWN if slot in session.undecided else SlotVerdict.BAD
    return SlotVerdict.DISTURBED if slot in session.disturbed else SlotVerdict.GOOD
