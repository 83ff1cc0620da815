"""Measures slots, and compares each with its own kind.

A slow slot is measured again, alone, before it is judged, and the best of each rate counts: on a shared machine one slow
second proves nothing. Where it stays slow, but only as much as other work on its cores explains, nothing is proved either: the
slot is marked as disturbed, and used where there are not enough others. A wrong result needs no confirmation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bedplate.core.measurement import DISTURBED_FRAC
from bedplate.core.units import format_flops, format_rate
from bedplate.operations.preflight.measure import COPY, RateReport
from bedplate.operations.preflight.messages import FailedAnswer, MeasureOrder, RatesAnswer
from bedplate.operations.preflight.peers import PeerFinding, other_work_explains, slow_slots
from bedplate.operations.preflight.session import Session

SLOT_BUFFER_BYTES = 2**28


def measure_slots(session: Session) -> None:
    """Measure all remaining slots; exclude those that compute wrong results or fall behind their kind."""
    session.replace_ended()  # tasks that ended before they started
    session.reporter.say(f"measuring {len(session.standing)} slots against each other")
    turns = [[slot] for slot in session.standing] if session.one_by_one else [session.standing]
    for turn in turns:
        session.rates |= _measure(session, turn)
    _judge_rates(session)


def _measure(session: Session, slots: Sequence[int]) -> dict[int, RateReport]:
    """Rates of `slots`; one whose process ends is measured again in a fresh one, alone."""
    rates = _measure_once(session, slots)
    for slot in session.replace_ended():
        rates |= _measure_once(session, [slot])
    return rates


def _measure_once(session: Session, slots: Sequence[int]) -> dict[int, RateReport]:
    limits = session.limits
    order = MeasureOrder(budget_s=limits.budget_s, precisions=limits.precisions, largest_buffer_bytes=SLOT_BUFFER_BYTES)
    # Twice the engine's patience: a silent task is then ended by the engine, which names the cause.
    timeout_s = 2 * limits.hung_after_s + 10 * limits.budget_s
    rates = {}
    for slot, answer in session.ask(dict.fromkeys(slots, order), timeout_s, "it was measured").items():
        match answer:
            case RatesAnswer(rates=measured):
                rates[slot] = measured
            case FailedAnswer(error=error):
                session.reasons[slot] = f"it could not be measured: {error}"
    return rates


def _judge_rates(session: Session) -> None:
    """Wrong results are final; slow slots are measured again, alone, and the best of each rate counts."""
    for slot, report in session.rates.items():
        if report.wrong and slot not in session.reasons:
            session.reasons[slot] = f"wrong results: {', '.join(report.wrong)}"
    for _ in range(session.limits.num_retries):
        for slot in _slow(session):
            session.reporter.say(f"slot {slot} is slow; measuring it again")
            for report in _measure(session, [slot]).values():
                session.rates[slot] = _best_of(session.rates[slot], report)
    for slot, finding in _slow(session).items():
        (session.disturbed if finding.is_explained else session.reasons)[slot] = finding.reason


def _best_of(first: RateReport, second: RateReport) -> RateReport:
    return RateReport(
        matmul_flops={name: _larger(rate, second.matmul_flops.get(name)) for name, rate in first.matmul_flops.items()},
        memory_bandwidth_bytes_per_s=_larger(first.memory_bandwidth_bytes_per_s, second.memory_bandwidth_bytes_per_s),
        reasons={**first.reasons, **second.reasons},
        wrong=tuple(dict.fromkeys((*first.wrong, *second.wrong))),
        busy_frac={what: _smaller(frac, second.busy_frac.get(what)) for what, frac in first.busy_frac.items()},
    )


def _larger(first: float | None, second: float | None) -> float | None:
    return max((rate for rate in (first, second) if rate is not None), default=None)


def _smaller(first: float | None, second: float | None) -> float | None:
    return min((frac for frac in (first, second) if frac is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slow:
    """A slot that falls behind in some rate."""

    reason: str
    is_explained: bool
    """Whether other work on its cores accounts for it."""


def _slow(session: Session) -> dict[int, _Slow]:
    """Standing slots that fall behind in some rate; a rate that other work does not explain goes before one that it does."""
    limits, found = session.limits, list[tuple[int, _Slow]]()
    measured = {slot: report for slot, report in session.rates.items() if slot in session.standing}
    for precision in limits.precisions:
        flops = {slot: rate for slot, report in measured.items() if (rate := report.matmul_flops.get(precision)) is not None}
        for finding in slow_slots(flops, limits.slow_share, limits.floor_flops):
            busy_frac = measured[finding.slot].busy_frac.get(precision)
            slow = _judge(f"{precision} products", finding, format_flops, busy_frac, session.cores_per_slot)
            found.append((finding.slot, slow))
    copies = {slot: rate for slot, report in measured.items() if (rate := report.memory_bandwidth_bytes_per_s) is not None}
    for finding in slow_slots(copies, limits.slow_share, limits.floor_bytes_per_s):
        busy_frac = measured[finding.slot].busy_frac.get(COPY)
        found.append((finding.slot, _judge("memory copies", finding, format_rate, busy_frac, session.cores_per_slot)))
    reasons: dict[int, _Slow] = {}
    for slot, slow in sorted(found, key=lambda item: item[1].is_explained):
        reasons.setdefault(slot, slow)
    return reasons


def _judge(what: str, finding: PeerFinding, show: Callable[[float], str], busy_frac: float | None, num_cores: int) -> _Slow:
    is_disturbed = busy_frac is not None and busy_frac > DISTURBED_FRAC
    busy = f"; other work took {busy_frac:.0%} of its cores" if is_disturbed else ""
    reference = "below the floor of" if finding.reference is None else f"its peers {show(finding.reference)}, limit"
    return _Slow(
        reason=f"slow: {what} at {show(finding.rate)}, {reference} {show(finding.limit)}{busy}",
        is_explained=is_disturbed and other_work_explains(finding, busy_frac or 0.0, num_cores),
    )
