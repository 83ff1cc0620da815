"""What a person sees of a run: lines where stderr is no terminal, a table with bars where it is one."""

import io
import os
import pty
import subprocess
import sys

import pytest
from rich.console import Console

from bedplate.cli.terminal.live import LiveWatcher
from bedplate.cli.terminal.watching import Pace, PlainWatcher
from bedplate.core.errors import TaskError
from bedplate.state.records import Status
from tests.command_line import ROOT, USES, CommandLine


def paced(*points: tuple[float, float]) -> str:
    pace = Pace()
    for now_s, done in points:
        pace.move(now_s, done, 40_000, "tokens")
    return str(pace)


def test_progress_has_rate_and_remaining_time() -> None:
    assert paced((0, 0), (24, 12_000)) == "12.0k of 40.0k tokens, 500 tokens/s, 56 s left"
    assert paced((0, 0)) == "0 of 40.0k tokens"


def test_a_resumed_steps_rate_ignores_earlier_work() -> None:
    assert paced((90, 20_000), (100, 30_000)) == "30.0k of 40.0k tokens, 1000 tokens/s, 10 s left"


def test_a_step_that_restarts_begins_its_rate_anew() -> None:
    assert paced((0, 0), (10, 20_000), (30, 10_000), (40, 20_000)) == "20.0k of 40.0k tokens, 1000 tokens/s, 20 s left"


def test_plain_lines_show_of_progress_one_line_in_five_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr("bedplate.cli.terminal.watching.time.monotonic", lambda: now_s)
    watcher = PlainWatcher(explain=False)
    watcher.run_started("demo-1", ("a", "b"), ("a",))
    watcher.step_started("b", "train", "Trains.")
    for second in range(12):
        now_s = 100.0 + second
        watcher.step_progressed("b", second, 12, "steps")
    watcher.said("b", "worker 1 is gone")
    watcher.step_ended("b", Status.FAILED, 12.0, TaskError("it fell"))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "run demo-1: a -> b",
        "already done, kept: a",
        "[b] running: train",
        "[b] 5 of 12 steps, 1 steps/s, 7 s left",
        "[b] 10 of 12 steps, 1 steps/s, 2 s left",
        "[b] worker 1 is gone",
        "[b] failed after 12 s: it fell",
    ]


def test_the_live_table_shows_each_step_and_keeps_what_was_said() -> None:
    screen = io.StringIO()
    watcher = LiveWatcher(explain=True, console=Console(file=screen, force_terminal=True, width=120))
    watcher.run_started("demo-1", ("a", "b", "c"), ("a",))
    watcher.step_started("b", "train", "Trains [bold] things.")
    watcher.step_progressed("b", 5, 10, "steps")
    watcher.said("b", "worker [1] is gone")
    watcher.close()
    shown = screen.getvalue()
    assert "Trains [bold] things." in shown, "square brackets are text"
    assert "worker [1] is gone" in shown
    rows = Console(file=(table := io.StringIO()), width=120)
    rows.print(watcher._table())
    assert [line.split()[:2] for line in table.getvalue().splitlines()] == [["a", "done"], ["b", "running"], ["c", "waiting"]]
    assert "5 of 10 steps" in table.getvalue()


def test_on_a_terminal_the_run_draws_its_table_there(command_line: CommandLine) -> None:
    file = command_line.write("version: 1\nsteps:\n  only: {use: test.write}\n")
    master, slave = pty.openpty()
    uses = [word for name, module in USES.items() for word in ("--use", f"{name}={module}")]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "bedplate", "run", str(file), "--state", str(command_line.state), "-o", "json", *uses],
        stdout=subprocess.PIPE,
        stderr=slave,
        env=environment,
    )
    os.close(slave)
    out, _ = process.communicate(timeout=60)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert process.returncode == 0
    assert out.startswith(b"{"), "data stays on stdout"
    assert "wrote text.txt" in shown
    assert "\x1b[" in shown
