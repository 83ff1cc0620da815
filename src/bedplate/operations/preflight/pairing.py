"""Pairs slots for two rounds of all-reduces, and judges slots and links by them.

A pair that lost one of its tasks proves nothing about the other: only pairs of slots still in are evidence.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bedplate.core.units import format_duration
from bedplate.operations.preflight.messages import (
    Answer,
    FailedAnswer,
    MeetOrder,
    OpenStoreOrder,
    Order,
    PairAnswer,
    StoreAnswer,
)
from bedplate.operations.preflight.products import has_torch
from bedplate.operations.preflight.session import Session
from bedplate.operations.preflight.verdicts import Pair, SlotVerdict, Wave, first_round, second_round, verdicts

MIN_PAIRS_TO_COMPARE = 3


def pair_slots(session: Session) -> tuple[Pair, ...]:
    """Pair all remaining slots in two rounds and exclude the bad and the undecided.

    Returns:
        Bad links: pairs that failed although both slots are good. Nothing is paired where only one slot remains, or
        where torch is not installed.
    """
    if len(session.standing) < 2:
        return ()
    if not has_torch():
        session.reporter.say("slots are not paired: torch is not installed (pip install 'bedplate[train]')")
        return ()
    session.reporter.say(f"pairing {len(session.standing)} slots: all-reduce, two rounds")
    _run_round(session, first_round(session.standing))
    _run_round(session, second_round(session.standing, _results(session, _failures(session))))
    failures = _failures(session)
    results = _results(session, failures)
    paired = {slot for pair in results for slot in pair}
    found = verdicts(sorted(paired), results)
    for slot, verdict in found.slots.items():
        if verdict is not SlotVerdict.GOOD:
            session.reasons[slot] = _reason(slot, verdict, failures)
        if verdict is SlotVerdict.UNKNOWN:
            session.undecided.add(slot)
    return found.bad_links


def _run_round(session: Session, waves: Sequence[Wave]) -> None:
    """Run all pairs; those that lost a process once more with a fresh one, since an end is no evidence against the partner."""
    _run_waves(session, waves)
    while ended := set(session.unreplaced):
        session.pair_errors = {pair: error for pair, error in session.pair_errors.items() if not ended & set(pair)}
        session.replace_ended()
        _run_waves(session, [tuple(pair for pair in wave if ended & set(pair)) for wave in waves])


def _run_waves(session: Session, waves: Sequence[Wave]) -> None:
    for wave in waves:
        for turn in [(pair,) for pair in wave] if session.one_by_one else [wave]:
            _run_pairs(session, tuple(pair for pair in turn if set(pair) <= set(session.standing)))


def _run_pairs(session: Session, pairs: Wave) -> None:
    """Pairs that share no slot, all at the same time."""
    limits, doing = session.limits, "it was paired"
    timeout_s = 3 * limits.pair_timeout_s + limits.hung_after_s
    openings: dict[int, Order] = {a: OpenStoreOrder(timeout_s=limits.pair_timeout_s) for a, _ in pairs}
    opened = session.ask(openings, timeout_s, doing)
    orders: dict[int, Order] = {}
    for a, b in pairs:
        if isinstance(store := opened.get(a), StoreAnswer):
            meeting = MeetOrder(
                place=0,
                host=session.coordinator.host_of(a),
                port=store.port,
                num_bytes=limits.pair_bytes,
                timeout_s=limits.pair_timeout_s,
            )
            orders |= {a: meeting, b: replace(meeting, place=1)}
    answers = session.ask(orders, timeout_s, doing)
    for pair in pairs:
        _keep(session, pair, [opened.get(pair[0]), *(answers.get(slot) for slot in pair)])


def _keep(session: Session, pair: Pair, answers: Sequence[Answer | None]) -> None:
    seconds, errors = [], []
    for answer in answers:
        match answer:
            case None:
                errors.append("no answer")
            case FailedAnswer(error=error):
                errors.append(error)
            case PairAnswer(result=result) if result.is_right:
                seconds.append(result.seconds)
            case PairAnswer():
                errors.append("a wrong sum")
    if errors:
        session.pair_errors[pair] = next((error for error in errors if error != "no answer"), errors[0])
    else:
        session.pair_seconds[pair] = max(seconds)


def _failures(session: Session) -> dict[Pair, str]:
    """Pairs of remaining slots that did not work, or took several times longer than the fastest quarter of the pairs.

    Where slots share cores, times show who had to wait for whom, and are not judged.
    """
    failures = dict(session.pair_errors)
    if len(session.pair_seconds) >= MIN_PAIRS_TO_COMPARE and not session.one_by_one:
        quick_s = statistics.quantiles(session.pair_seconds.values(), n=4, method="inclusive")[0]
        limit_s = session.limits.slow_pair_ratio * quick_s
        failures |= {
            pair: f"{format_duration(seconds)} for a sum, limit {format_duration(limit_s)}"
            for pair, seconds in session.pair_seconds.items()
            if seconds > limit_s
        }
    return {pair: error for pair, error in failures.items() if not session.reasons.keys() & set(pair)}


def _results(session: Session, failures: Mapping[Pair, str]) -> dict[Pair, bool]:
    """Pair of remaining slots -> whether it passed."""
    worked = {pair: True for pair in session.pair_seconds if not session.reasons.keys() & set(pair)}
    return worked | dict.fromkeys(failures, False)


def _reason(slot: int, verdict: SlotVerdict, failures: Mapping[Pair, str]) -> str:
    own = {pair: error for pair, error in failures.items() if slot in pair}
    partners = ", ".join(str(other) for pair in own for other in pair if other != slot)
    whose = "good" if verdict is SlotVerdict.BAD else "not known to be good"
    return f"its pairs fail ({next(iter(own.values()))}) with slots {partners}, and these are {whose}"
