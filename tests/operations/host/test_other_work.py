"""Other work on the cores that are measured is seen; our own is not taken for it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.operations.host.other_work import TICK_S, OtherWork, tree_cpu_s

CORE = min(os.sched_getaffinity(0))
SPIN = f"import os; os.sched_setaffinity(0, [{CORE}]); print('spinning', flush=True)\nwhile True: pass"


@pytest.fixture
def spinner() -> Iterator[subprocess.Popen[str]]:
    """A process that takes as much of one core as it gets."""
    process = subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def write_proc(root: Path, busy_s: float, steal_s: float = 0.0, pressure_s: float = 0.0) -> Path:
    """Counters of two cores, both alike."""
    ticks, steal = round(busy_s / TICK_S), round(steal_s / TICK_S)
    core = f"{ticks} 0 0 999 7 0 0 {steal} {ticks} 0"
    (root / "pressure").mkdir(parents=True, exist_ok=True)
    (root / "stat").write_text(f"cpu  {2 * ticks} 0 0 1998 14 0 0 {2 * steal} 0 0\ncpu0 {core}\ncpu1 {core}\nintr 5\n")
    (root / "pressure/cpu").write_text(
        f"some avg10=0.00 avg60=0.00 avg300=0.00 total={round(pressure_s * 1e6)}\nfull total=0\n"
    )
    return root


class Meter:
    """Our own CPU time, set by hand."""

    def __init__(self) -> None:
        self.used_s = 0.0

    def __call__(self) -> float:
        return self.used_s


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """The clock, set by hand."""
    clock = Meter()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.mark.parametrize(
    ("busy_s", "steal_s", "own_s", "expected"),
    [(1.0, 0.0, 1.0, 0.0), (1.01, 0.0, 1.0, 0.0), (1.51, 0.0, 1.0, 0.05), (1.0, 2.01, 1.0, 0.2), (0.5, 0.0, 1.0, 0.0)],
)
def test_what_is_not_ours_was_other_work(
    tmp_path: Path, elapsed: Meter, busy_s: float, steal_s: float, own_s: float, expected: float
) -> None:
    own = Meter()
    watch = OtherWork([0], own, write_proc(tmp_path, 5.0))
    write_proc(tmp_path, 5.0 + busy_s, steal_s)
    own.used_s, elapsed.used_s = own_s, 10.0
    assert watch.busy_frac() == pytest.approx(expected)


def test_where_the_counters_stand_still_the_run_queue_stands_in(tmp_path: Path, elapsed: Meter) -> None:
    watch = OtherWork([0], Meter(), write_proc(tmp_path, 0.0))
    write_proc(tmp_path, 0.0, pressure_s=2.5)
    elapsed.used_s = 10.0
    assert watch.busy_frac() == pytest.approx(0.25)


def test_a_system_that_shows_nothing_is_not_called_quiet(tmp_path: Path, elapsed: Meter) -> None:
    watch = OtherWork([0], Meter(), tmp_path)
    elapsed.used_s = 10.0
    assert watch.busy_frac() is None


def test_a_process_that_shares_our_core_is_seen(spinner: subprocess.Popen[str]) -> None:
    watch = OtherWork([CORE])
    time.sleep(0.4)
    assert (watch.busy_frac() or 0.0) > 0.2


def test_time_of_our_children_is_ours(spinner: subprocess.Popen[str]) -> None:
    before_s = tree_cpu_s()
    deadline_s = time.monotonic() + 20
    while tree_cpu_s() < before_s + 0.1:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    spinner.kill()
    spinner.wait()
    assert tree_cpu_s() >= before_s + 0.1, "a child that was reaped still counts"
