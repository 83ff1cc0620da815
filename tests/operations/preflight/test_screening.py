"""Screening names each bad slot with the right reason and keeps the good ones; faults come from outside, to real processes."""

import os
import signal
from pathlib import Path

import pytest

from bedplate.app.wiring import local_engine
from bedplate.core.errors import CancelledError
from bedplate.operations.preflight.screening import Screening, screen_slots
from bedplate.operations.preflight.session import ScreeningLimits
from tests.operations.preflight.faults import MeddledEngine

CORES = sorted(os.sched_getaffinity(0))
FIRST, SECOND = CORES[0], CORES[-1]
QUICK = ScreeningLimits(precisions=("fp32",), budget_s=0.4, hung_after_s=8.0, pair_timeout_s=5.0, slow_share=0.95)


def reasons(screening: Screening) -> dict[int, str]:
    return {slot.slot: slot.reason for slot in screening.slots}


def test_a_slot_that_hangs_and_one_that_sums_wrongly_are_told_from_their_partners(tmp_path: Path) -> None:
    entries = {1: "tests.operations.preflight.faults:sums_wrongly"}
    engine = MeddledEngine(local_engine(tmp_path, [FIRST, SECOND, FIRST, SECOND]), entries)

    def meddle(line: str) -> None:
        if line.startswith("pairing"):
            engine.kill(2, signal.SIGSTOP)

    try:
        screening = screen_slots(engine, 4, 1, QUICK, say=meddle)
    finally:
        engine.close()
    assert [slot.slot for slot in screening.good] == [0, 3]
    assert reasons(screening)[1].startswith("its pairs fail (a wrong sum) with slots 0")
    assert reasons(screening)[2] == "its process hung while it was paired"


def test_a_slot_that_multiplies_wrongly_is_out_however_fast_it_is(tmp_path: Path) -> None:
    entries = {0: "tests.operations.preflight.faults:multiplies_wrongly"}
    engine = MeddledEngine(local_engine(tmp_path, [FIRST, SECOND]), entries)
    try:
        screening = screen_slots(engine, 2, 1, QUICK)
    finally:
        engine.close()
    assert [slot.slot for slot in screening.good] == [1]
    assert reasons(screening)[0] == "it computes wrongly: fp32"


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
            screen_slots(engine, 1, 1, QUICK, check_cancelled=check_cancelled)
        assert engine.statistics().tasks_running == 0
    finally:
        engine.close()
