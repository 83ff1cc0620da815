"""The keeper: one small process per task, whose only duty is that nothing of the task outlives it.

    supervisor --control socket--> keeper --fork, exec--> task --> what the task starts

The keeper is a subreaper (prctl), so orphans of the task, also those that called setsid or forked twice, become its children.
It ends the entire tree when

- the task ends: leftovers are killed, then the exit is reported, so "exited" means that nothing is left;
- the supervisor goes: end of file on the control socket, or its pidfd fires (a forked copy of the supervisor may hold
  the socket open, so the socket alone is not enough); `kill -9` of the supervisor is no different;
- a command says so (cancel with a grace, signal), or the tree passes its memory limit.

If the keeper itself is killed the task dies with it (PDEATHSIG; the keeper has one thread, and that thread forked), and the
supervisor sweeps the rest by a mark in their environment. Standard library only, started with `python -I -S`: about 20 ms and
6 MB. Nothing is polled but memory: the task's end arrives as SIGCHLD through a wakeup pipe.

Memory: the sum over the tree, every `MEMORY_INTERVAL_S`, of RSS and, only when that is over the limit, of PSS (memory
files that ranks share count once). RLIMIT_AS would break torch, which maps far more than it touches; a control group is
tighter, and not writable on most machines: a task with a share of a core gets one, for its memory too. A burst between two
looks can overshoot by what the machine can touch in that time.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bedplate.engines.local.process_tree import descendants, end_children, proportional_bytes, resident_bytes

MEMORY_INTERVAL_S = 0.05
"""Between two looks at the memory of a tree that has a limit."""
_TREE_INTERVAL_S = 0.5
"""Between two searches for the processes of such a tree."""
_IDLE_INTERVAL_S = 1.0
"""Between two reaps of orphans, and two looks at the kernel's OOM counter."""
_OOM_MEMORY_S = 10.0
"""A SIGKILL that nobody here sent, this soon after the kernel counted an OOM kill, was that kill: a large process takes
seconds from being killed to being gone."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: Sequence[str]) -> None:
    """Run one task. Arguments: descriptors of the launch file, the control socket and the supervisor's pidfd (or -1)."""
    launch_fd, control_fd, supervisor_fd = map(int, arguments)
    launch = json.loads(os.pread(launch_fd, os.fstat(launch_fd).st_size, 0))
    keeper = _Keeper(launch["keeper"], socket.socket(fileno=control_fd), supervisor_fd)
    keeper.run()
    os._exit(0)  # the interpreter's own shutdown would only cost time


class _Keeper:
    def __init__(self, launch: Mapping[str, Any], control: socket.socket, supervisor_fd: int) -> None:
        self._launch = launch
        self._control = control
        self._supervisor_fd = supervisor_fd
        self._memory_limit_bytes: int | None = launch["memory_bytes"]
        self._wakeup_fd = _wake_on_signals()
        self._status: int | None = None
        self._cause = ""
        self._message = ""
        self._kill_at_s: float | None = None
        self._tree: list[int] = []
        self._tree_read_at_s = float("-inf")
        self._has_killed = False
        self._oom_kills = _oom_kills()
        self._oom_seen_at_s = float("-inf")

    def run(self) -> None:
        for fd in (self._control.fileno(), self._supervisor_fd):
            if fd >= 0:
                os.set_inheritable(fd, False)
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._pid = self._start_task()
        for fd in self._launch["close"]:
            os.close(fd)
        self._tell({"started": self._pid})
        while self._status is None and not self._is_abandoned():
            self._look_at_memory()
            self._kill_when_grace_is_over()
            self._reap()
        end_children()
        self._remove_group()
        exit_code = -signal.SIGKILL if self._status is None else self._status
        self._tell({"exited": exit_code, "cause": self._cause, "message": self._message})
        _remove(self._launch["scratch"])

    def _enter_group(self, keeper: int) -> None:
        """In the task: the control group of a task that has a share of its cores."""
        if self._launch["cpu_milli"] is not None:
            from bedplate.core.control_groups import enter_new_group  # 20 ms that other tasks do not pay

            enter_new_group(str(keeper), self._launch["cpu_milli"], self._launch["memory_bytes"])

    def _remove_group(self) -> None:
        if self._launch["cpu_milli"] is not None:
            from bedplate.core.control_groups import remove_group

            remove_group(str(os.getpid()))

    def _start_task(self) -> int:
        parent = os.getpid()
        # A signal between fork and exec must not run the keeper's handlers in the child: they share the wakeup pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if pid := os.fork():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            return pid
        try:  # the child: one thread, so ordinary Python is safe here
            for number in (*_SIGNALS, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
            os.setsid()
            Path(self._launch["scratch"]).mkdir()
            os.sched_setaffinity(0, self._launch["cores"])
            self._enter_group(parent)
            os.execv(self._launch["argv"][0], self._launch["argv"])  # noqa: S606 (no shell wanted)
        except Exception as error:  # any error: the child must never go on as a second keeper
            os.write(2, f"the task could not be started: {error}\n".encode())
        os._exit(127)

    def _is_abandoned(self) -> bool:
        """Wait for the next thing to happen; True when the supervisor is gone, or the end was requested."""
        poll = select.poll()
        for fd in (self._control.fileno(), self._supervisor_fd, self._wakeup_fd):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(self._timeout_s() * 1e3)}
        if self._supervisor_fd in ready:
            return True
        if self._wakeup_fd in ready and signal.SIGTERM in os.read(self._wakeup_fd, 4096):
            return True
        return self._control.fileno() in ready and not self._obey()

    def _timeout_s(self) -> float:
        timeout_s = MEMORY_INTERVAL_S if self._memory_limit_bytes is not None else _IDLE_INTERVAL_S
        if self._kill_at_s is not None:
            timeout_s = min(timeout_s, max(0.0, self._kill_at_s - time.monotonic()))
        return timeout_s

    def _obey(self) -> bool:
        try:
            command = self._control.recv(4096)
        except OSError:
            return False
        if not command:
            return False
        words = json.loads(command)
        if "signal" in words:
            self._signal_task(words["signal"])
        if "cancel" in words:
            self._signal_task(signal.SIGTERM)
            self._kill_at_s = time.monotonic() + words["cancel"]
        return True

    def _signal_task(self, number: int) -> None:
        self._reap()
        if self._status is None:  # not reaped, so the number is still the task's
            self._has_killed |= number == signal.SIGKILL
            os.kill(self._pid, number)

    def _kill_when_grace_is_over(self) -> None:
        if self._kill_at_s is not None and time.monotonic() >= self._kill_at_s:
            self._signal_task(signal.SIGKILL)
            self._kill_at_s = None

    def _look_at_memory(self) -> None:
        if self._memory_limit_bytes is None or self._cause:
            return
        if time.monotonic() - self._tree_read_at_s > _TREE_INTERVAL_S:
            self._tree = descendants(os.getpid())
            self._tree_read_at_s = time.monotonic()
        if resident_bytes(self._tree) <= self._memory_limit_bytes:
            return
        held_bytes = proportional_bytes(self._tree)
        if held_bytes > self._memory_limit_bytes:
            self._cause = "memory"
            self._message = f"held {held_bytes / 1e6:.0f} MB, the limit is {self._memory_limit_bytes / 1e6:.0f} MB"
            self._signal_task(signal.SIGKILL)

    def _reap(self) -> None:
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._pid:
                    self._status = os.waitstatus_to_exitcode(ended[1])
        except ChildProcessError:
            pass
        if (oom_kills := _oom_kills()) != self._oom_kills:
            self._oom_kills, self._oom_seen_at_s = oom_kills, time.monotonic()
        is_recent = time.monotonic() - self._oom_seen_at_s < _OOM_MEMORY_S
        if self._status == -signal.SIGKILL and not self._has_killed and is_recent:
            self._cause, self._message = "memory", "the kernel's OOM killer took it"

    def _tell(self, words: Mapping[str, object]) -> None:
        try:
            self._control.send(json.dumps(words).encode())
        except OSError:
            return  # the supervisor is gone, and with it everybody who would want to know


def _wake_on_signals() -> int:
    """Descriptor that becomes readable at SIGCHLD and SIGTERM; SIGINT and SIGHUP are the supervisor's business."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return reader


def _oom_kills() -> int:
    """Processes that the kernel's OOM killer has taken since boot; 0 where it does not say."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def _remove(directory: str) -> None:
    import shutil

    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
