"""Screening names each bad slot with the right reason and keeps the good ones; faults come from outside, to real processes."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bedplate.app.wiring import local_engine
from bedplate.core.errors import CancelledError, UsageError
from bedplate.core.reporter import CallbackReporter, Reporter
from bedplate.operations.preflight.screening import Screening, screen_slots
from bedplate.operations.preflight.session import ScreeningLimits
from bedplate.operations.preflight.verdicts import SlotVerdict
from tests.operations.preflight.faults import MeddledEngine

CORES = sorted(os.sched_getaffinity(0))
FIRST, SECOND = CORES[0], CORES[-1]
QUICK = ScreeningLimits(precisions=("fp32",), budget_s=0.4, hung_after_s=8.0, pair_timeout_s=5.0, slow_share=0.95)


def reasons(screening: Screening) -> dict[int, str]:
    return {slot.slot: slot.reason for slot in screening.slots}


def on_line(start: str, act: Callable[[], None]) -> Reporter:
    """A reporter that acts on the first line that starts so."""
    acts = [act]

    def say(line: str) -> None:
        if line.startswith(start) and acts:
            acts.pop()()

    return CallbackReporter(on_say=say)


def test_a_slot_that_failed_once_is_tried_again_and_kept(tmp_path: Path) -> None:
    engine = MeddledEngine(local_engine(tmp_path, [FIRST, SECOND, FIRST]))

    def meddle() -> None:
        engine.kill(1)
        engine.kill(2, signal.SIGSTOP)

    try:
        screening = screen_slots(engine, 3, 1, QUICK, on_line("measuring", meddle))
        assert engine.statistics().tasks_running == 0
    finally:
        engine.close()
    assert [slot.slot for slot in screening.good] == [0, 1, 2], reasons(screening)
    assert all(slot.rates is not None and slot.pair_seconds for slot in screening.slots)
    assert [slot.cores for slot in screening.slots] == [(FIRST,), (SECOND,), (FIRST,)], "the same cores as before"


def test_a_slot_whose_process_dies_twice_is_bad(tmp_path: Path) -> None:
    entries = {1: "tests.operations.preflight.faults:dies_when_measured"}
    engine = MeddledEngine(local_engine(tmp_path, [FIRST, SECOND]), entries)
    try:
        screening = screen_slots(engine, 2, 1, QUICK)
    finally:
        engine.close()
    assert [(slot.slot, slot.verdict) for slot in screening.slots] == [(0, SlotVerdict.GOOD), (1, SlotVerdict.BAD)]
    died = "its process died of signal 9 while it was measured"
    assert reasons(screening)[1] == f"{died}; before that {died}"


def test_a_wrong_sum_is_traced_to_its_slot(tmp_path: Path) -> None:
    entries = {1: "tests.operations.preflight.faults:sums_wrongly"}
    engine = MeddledEngine(local_engine(tmp_path, [FIRST, SECOND, FIRST, SECOND]), entries)
    try:
        screening = screen_slots(engine, 4, 1, QUICK, on_line("pairing", lambda: engine.kill(2)))
    finally:
        engine.close()
    assert [slot.slot for slot in screening.good] == [0, 2, 3], reasons(screening)
    assert reasons(screening)[1].startswith("its pairs fail (a wrong sum) with slots")


def test_a_slot_without_time_to_answer_is_unknown(tmp_path: Path) -> None:
    engine = MeddledEngine(local_engine(tmp_path, [FIRST]))
    try:
        screening = screen_slots(engine, 1, 1, replace(QUICK, start_timeout_s=0.001))
    finally:
        engine.close()
    assert [slot.verdict for slot in screening.slots] == [SlotVerdict.UNKNOWN]
    assert reasons(screening)[0] == "its process did not answer in time while it started"


@pytest.mark.parametrize("limit", ["budget_s", "pair_timeout_s", "hung_after_s", "start_timeout_s"])
def test_a_screening_without_time_is_refused(limit: str) -> None:
    change: dict[str, Any] = {limit: 0.0}
    with pytest.raises(UsageError, match="needs time"):
        replace(QUICK, **change)


def test_a_disturbed_slot_is_used_only_when_others_are_too_few(tmp_path: Path) -> None:
    entries = {1: "tests.operations.preflight.faults:slow_because_of_other_work"}
    engine = MeddledEngine(local_engine(tmp_path, [FIRST, SECOND]), entries)
    try:
        screening = screen_slots(engine, 2, 1, replace(QUICK, slow_share=0.5))
    finally:
        engine.close()
    assert [slot.verdict for slot in screening.slots] == [SlotVerdict.GOOD, SlotVerdict.DISTURBED]
    assert "other work took 99% of its cores" in reasons(screening)[1]
    assert [slot.slot for slot in screening.kept(num_wanted=1)] == [0]
    assert [slot.slot for slot in screening.kept(num_wanted=2)] == [0, 1]


def test_a_slot_that_multiplies_wrongly_is_out_however_fast_it_is(tmp_path: Path) -> None:
    entries = {0: "tests.operations.preflight.faults:multiplies_wrongly"}
    engine = MeddledEngine(local_engine(tmp_path, [FIRST, SECOND]), entries)
    try:
        screening = screen_slots(engine, 2, 1, QUICK)
    finally:
        engine.close()
    assert [slot.slot for slot in screening.good] == [1]
    assert reasons(screening)[0] == "wrong results: fp32"


def test_good_slots_are_all_kept_and_given_back(tmp_path: Path) -> None:
    engine = local_engine(tmp_path, [FIRST, SECOND])
    try:
        screening = screen_slots(engine, 2, 1, QUICK)
        assert engine.statistics().tasks_running == 0
    finally:
        engine.close()
    assert len(screening.good) == 2, reasons(screening)
    assert screening.bad_links == ()
    for slot in screening.slots:
        assert slot.rates is not None
        assert (slot.rates.matmul_flops["fp32"] or 0) > 1e9
        assert (slot.rates.memory_bandwidth_bytes_per_s or 0) > 1e8
        assert list(slot.pair_seconds) == [1 - slot.slot]


def test_cancelling_ends_the_screening_and_leaves_nothing_running(tmp_path: Path) -> None:
    engine = MeddledEngine(local_engine(tmp_path, [FIRST]))

    def check_cancelled() -> None:
        raise CancelledError("the step was cancelled")

    try:
        with pytest.raises(CancelledError):
            screen_slots(engine, 1, 1, QUICK, CallbackReporter(on_check=check_cancelled))
        assert engine.statistics().tasks_running == 0
    finally:
        engine.close()
