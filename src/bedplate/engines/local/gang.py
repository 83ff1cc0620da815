"""One running gang on this machine: its processes, and the thread that watches them.

The thread sleeps in epoll over two sockets per task, so an exit is known as soon as the keeper says so; it wakes by itself
only for the next heartbeat deadline. Everything that is readable is read before silence is judged: a supervisor that was
busy or stopped for a while does not take its own absence for a hang.
"""

from __future__ import annotations

import json
import selectors
import shutil
import signal
import socket
import threading
from collections.abc import Callable

from bedplate.core.clock import Clock
from bedplate.core.errors import UnavailableError
from bedplate.core.implements import implements
from bedplate.core.json import JsonObject
from bedplate.core.messages import from_bytes
from bedplate.core.workload import ExitCause, TaskState
from bedplate.engines.local.channel import HEARTBEAT, MAX_MESSAGE_BYTES, Outcome, Progress
from bedplate.engines.local.files import log_path, read_log
from bedplate.engines.local.process_tree import end_marked
from bedplate.engines.local.start import StartedTasks
from bedplate.engines.record import GangRecord
from bedplate.engines.recorded import News, RunningGang

_UNKILLABLE_S = 30.0
"""After SIGKILL a process may be held by a driver or a file system; longer than this is reported."""


class LocalGang:
    """Processes of a gang and what is known of them; implements `RunningGang`.

    Args:
        record: Where its states and events are entered.
        started: Its processes.
        changed: The engine's lock.
        clock: Times of events.
        heartbeat_timeout_s: Silence after which a task counts as hung.
        on_task_end: Called with the rank of each task that has ended, with the lock held.
    """

    def __init__(
        self,
        record: GangRecord,
        started: StartedTasks,
        *,
        changed: News,
        clock: Clock,
        heartbeat_timeout_s: float | None,
        on_task_end: Callable[[int], None],
    ) -> None:
        self.record = record
        self._processes = started.processes
        self._directory = started.directory
        self._changed = changed
        self._clock = clock
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._rendezvous = started.rendezvous
        self._on_task_end = on_task_end
        self._with_heartbeat: set[int] = set()
        self._is_cancelled = False
        self._hung: dict[int, str] = {}
        self._open = set(range(len(started.processes)))
        self._thread = threading.Thread(target=self._watch, name=f"watch-{record.handle.id}", daemon=True)

    @implements(RunningGang)
    def follow(self) -> None:
        self._thread.start()

    def cancel(self, grace_s: float) -> None:
        """See `RunningGang.cancel`; SIGTERM goes to the task's own process, SIGKILL to all that descends from it."""
        with self._changed:
            self._is_cancelled = True
            for rank, process in enumerate(self._processes):
                if not self.record.task(rank).state.is_final:
                    process.command({"cancel": grace_s})

    def kill(self, rank: int, number: int) -> None:
        """Send a signal to the process of one task, through its keeper: the number cannot be another's by then."""
        with self._changed:
            if not self.record.task(rank).state.is_final:
                self._processes[rank].command({"signal": number})

    def wait_gone(self, grace_s: float) -> None:
        """Wait until all keepers are gone too.

        Raises:
            UnavailableError: A process survived SIGKILL: a driver or a file system holds it.
        """
        self._thread.join(grace_s + _UNKILLABLE_S)
        if self._thread.is_alive():
            raise UnavailableError(
                f"gang '{self.record.handle.id}' has a process that SIGKILL does not end",
                seen=f"alive {grace_s + _UNKILLABLE_S:.0f} s after the request",
                next_step="check its state with ps (D: a hung driver or file system)",
            )

    @implements(RunningGang)
    def logs(self, rank: int) -> str:
        return read_log(log_path(self._directory, rank))

    def forget(self) -> None:
        """Nothing: log files stay on disk."""

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            for rank, process in enumerate(self._processes):
                selector.register(process.control, selectors.EVENT_READ, rank)
                selector.register(process.channel, selectors.EVENT_READ, rank)
            while self._open:
                ready = selector.select(self._next_deadline_s())
                with self._changed:
                    for key, _ in ready:
                        self._read(selector, key.fileobj, key.data)
                    self._judge_silence({key.data for key, _ in ready})
        for process in self._processes:
            process.close()
        self._rendezvous.close()

    def _read(self, selector: selectors.BaseSelector, source: object, rank: int) -> None:
        process = self._processes[rank]
        if rank not in self._open:
            return
        if source is process.channel:
            if not self._drain_channel(rank):
                selector.unregister(process.channel)
            return
        report = _receive(process.control)
        if report == b"":
            self._end_without_keeper(rank)
        elif report is not None:
            words = json.loads(report)
            if "started" in words:
                self.record.started(rank, self._clock.now(), words["started"])
                return
            self._drain_channel(rank)
            self._end(rank, words)
        if self.record.task(rank).state.is_final:
            for connection in (process.control, process.channel):
                if connection in {key.fileobj for key in selector.get_map().values()}:
                    selector.unregister(connection)
            self._open.discard(rank)

    def _drain_channel(self, rank: int) -> bool:
        """Take all that the task said; False when it can say no more."""
        while (message := _receive(self._processes[rank].channel)) is not None:
            if message == b"":
                return False
            self._with_heartbeat.add(rank)
            if message == HEARTBEAT:
                self.record.heartbeat(rank, self._clock.now())
            else:
                self.record.progress(rank, self._clock.now(), from_bytes(Progress, message).attributes)
        return True

    def _end(self, rank: int, words: JsonObject) -> None:
        exit_code = words["exited"]
        assert isinstance(exit_code, int)
        outcome = self._processes[rank].outcome()
        cause, message = self._explain(rank, exit_code, str(words["cause"]), str(words["message"]), outcome)
        result = outcome.result if exit_code == 0 else None
        self.record.exited(rank, self._clock.now(), exit_code=exit_code, cause=cause, message=message, result=result)
        self._on_task_end(rank)

    def _explain(self, rank: int, exit_code: int, cause: str, message: str, outcome: Outcome) -> tuple[ExitCause, str]:
        if cause:
            return ExitCause(cause), message
        if rank in self._hung:
            return ExitCause.HUNG, self._hung[rank]
        if self._is_cancelled:
            return ExitCause.CANCELLED, "cancelled"
        if exit_code == 0:
            return ExitCause.FINISHED, ""
        if exit_code < 0:
            when = " after its entry had returned" if outcome.has_returned else ""
            return ExitCause.SIGNAL, f"ended by {signal_name(-exit_code)}{when}"
        return ExitCause.ERROR, outcome.error or f"exited with code {exit_code}"

    def _end_without_keeper(self, rank: int) -> None:
        """The keeper was killed: the task died with it, and what the task had started is swept here."""
        if self.record.task(rank).state.is_final:
            return
        end_marked(self._processes[rank].mark)
        shutil.rmtree(self._processes[rank].scratch, ignore_errors=True)
        self._drain_channel(rank)
        message = "its keeper process was killed or failed, and so the task ended; see the task's log"
        cause = ExitCause.CANCELLED if self._is_cancelled else ExitCause.SIGNAL
        self.record.exited(rank, self._clock.now(), exit_code=-signal.SIGKILL, cause=cause, message=message)
        self._on_task_end(rank)

    def _next_deadline_s(self) -> float | None:
        """Seconds until the first task with a heartbeat has been silent for too long; None if no task is timed."""
        silences = self._silences()
        if self._heartbeat_timeout_s is None or not silences:
            return None
        return max(0.0, self._heartbeat_timeout_s - max(silences.values()))

    def _judge_silence(self, just_read: set[int]) -> None:
        for rank, silence_s in self._silences().items():
            is_late = self._heartbeat_timeout_s is not None and silence_s >= self._heartbeat_timeout_s
            if is_late and rank not in just_read:
                self._hung[rank] = f"silent for {silence_s:.3g} s, the limit is {self._heartbeat_timeout_s:.3g} s"
                self._processes[rank].command({"signal": signal.SIGKILL})

    def _silences(self) -> dict[int, float]:
        now_s = self._clock.now()
        silences = {}
        for rank in self._with_heartbeat & self._open - self._hung.keys():
            task = self.record.task(rank)
            if task.state is TaskState.RUNNING and task.last_heartbeat_s is not None:
                silences[rank] = now_s - task.last_heartbeat_s
        return silences


def signal_name(number: int) -> str:
    """9 -> `SIGKILL`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _receive(connection: socket.socket) -> bytes | None:
    """One message; None when there is none now, empty at the end."""
    try:
        return connection.recv(MAX_MESSAGE_BYTES + 1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
