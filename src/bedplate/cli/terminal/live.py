"""The live view of a run: one line per step with its state, bar, rate and remaining time; what steps say stays above."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bedplate.app.pipeline.run.watch import Status
from bedplate.cli.terminal.watching import Pace
from bedplate.core.errors import BedplateError
from bedplate.core.units import format_duration

_STYLES = {
    Status.WAITING: "dim",
    Status.RUNNING: "bold cyan",
    Status.DONE: "green",
    Status.FAILED: "bold red",
    Status.CANCELLED: "yellow",
}


@dataclass(slots=True)
class _Line:
    status: Status = Status.WAITING
    started_s: float = 0.0
    seconds: float | None = None
    pace: Pace | None = None


class LiveWatcher:
    """Draws a table of steps at the foot of the terminal, four times a second."""

    def __init__(self, *, explain: bool, console: Console | None = None) -> None:
        self._explain = explain
        self._lines: dict[str, _Line] = {}
        self._console = console or Console(file=sys.stderr)
        self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        """Show all steps."""
        self._lines = {name: _Line(Status.DONE if name in done else Status.WAITING) for name in steps}
        self._print(f"run [bold]{escape(run_id)}[/bold]")
        self._live.start()

    def step_started(self, name: str, use: str, explanation: str) -> None:
        """Show the step as running."""
        self._lines[name] = _Line(Status.RUNNING, time.monotonic())
        if self._explain:
            self._print(f"\n[bold]{escape(name)}[/bold] [dim]({escape(use)})[/dim] {escape(explanation)}")

    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None:
        """Advance the bar."""
        line = self._lines[name]
        line.pace = line.pace or Pace()
        line.pace.move(time.monotonic(), done, total, unit)

    def said(self, name: str, text: str) -> None:
        """Print it above the table, where it stays."""
        self._print(f"[dim]{escape(name)}[/dim] {escape(text)}" if name else escape(text))

    def step_ended(self, name: str, status: Status, seconds: float, error: BedplateError | None) -> None:
        """Show how it ended."""
        line = self._lines[name]
        line.status, line.seconds, line.pace = status, seconds, None

    def run_ended(self, status: Status) -> None:
        """Remove the table; the verb prints the outcome."""
        self.close()

    def close(self) -> None:
        """Give the terminal back."""
        with contextlib.suppress(OSError):  # the terminal is gone
            self._live.stop()

    def _print(self, markup: str) -> None:
        self._console.print(markup, highlight=False)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, line in list(self._lines.items()):
            table.add_row(Text(name), Text(line.status.value, style=_STYLES[line.status]), *self._bar(line))
        return table

    def _bar(self, line: _Line) -> tuple[ProgressBar | str, str]:
        if line.status is not Status.RUNNING:
            return "", "" if line.seconds is None else format_duration(line.seconds)
        elapsed_s = time.monotonic() - line.started_s
        if line.pace is None:
            return ProgressBar(total=None, pulse=True, width=24), format_duration(elapsed_s)
        done, total = line.pace.share
        return ProgressBar(total=total or 1, completed=done, width=24), str(line.pace)
