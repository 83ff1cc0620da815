"""Which process that is: a number that the kernel gives to one process at a time says too little.

A process id is unique in its PID namespace (a container has its own), on one boot of one machine, until it is used
again. So a process is known by boot, namespace, number and start time, and is signalled through a pidfd, which stays
with the process that it was opened for. Source: pidfd_open(2), proc_pid_stat(5) field 22, pid_namespaces(7).
"""

from __future__ import annotations

import functools
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.errors import UnavailableError
from bedplate.core.json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process, as it describes itself; empty and 0 where it could not."""

    pid: int
    host: str
    boot_id: str = ""
    pid_namespace: str = ""
    """`pid:[4026531836]`"""
    start_ticks: int = 0
    """Start time in clock ticks since boot."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "an unidentified process"


@functools.lru_cache(maxsize=1)
def _machine() -> tuple[str, str, str]:
    return socket.gethostname(), _read(Path("/proc/sys/kernel/random/boot_id")), _link(Path("/proc/self/ns/pid"))


def this_process() -> ProcessIdentity:
    """The calling process."""
    host, boot_id, namespace = _machine()
    return ProcessIdentity(
        pid=os.getpid(), host=host, boot_id=boot_id, pid_namespace=namespace, start_ticks=_start_ticks("self")
    )


def kill(process: ProcessIdentity, number: signal.Signals = signal.SIGKILL) -> None:
    """Send `process` a signal, and certainly no other; nothing where it has ended.

    Raises:
        UnavailableError: It is not a process of this machine and PID namespace, or belongs to another user.
    """
    _check_is_here(process)
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        # checked after the pidfd was opened: from here on it means the same process as the start time does
        if _start_ticks(str(process.pid)) == process.start_ticks:
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise UnavailableError(
            "its process belongs to another user", seen=process, next_step="ask that user, or root, to end it"
        ) from error
    finally:
        os.close(descriptor)


def _check_is_here(process: ProcessIdentity) -> None:
    host, boot_id, namespace = _machine()
    if not (process.pid > 0 and process.boot_id and process.pid_namespace and process.start_ticks):
        raise UnavailableError(
            "its process cannot be identified with certainty", seen=process, next_step="end it yourself where it runs"
        )
    if process.boot_id != boot_id:
        raise UnavailableError("its process is on another machine", seen=process, next_step="end it there")
    if process.pid_namespace != namespace or _link(Path("/proc/self")) != str(os.getpid()):
        raise UnavailableError(
            "its process is in another container (PID namespace)",
            seen=f"{process}, {process.pid_namespace}",
            expected=f"{namespace} on {host}",
            next_step="end it there",
        )


def identity_as_json(process: ProcessIdentity) -> JsonObject:
    """The form in which lock files and the state keep it."""
    return {
        "pid": process.pid,
        "host": process.host,
        "boot_id": process.boot_id,
        "pid_namespace": process.pid_namespace,
        "start_ticks": process.start_ticks,
    }


def identity_from_json(document: object) -> ProcessIdentity | None:
    """Inverse of `identity_as_json`; None for what is not one. Lock files of bedplate 0.1.0 hold `pid` and `host` only."""
    if not isinstance(document, dict):
        return None
    try:
        return ProcessIdentity(
            pid=int(document["pid"]),
            host=str(document["host"]),
            boot_id=str(document.get("boot_id", "")),
            pid_namespace=str(document.get("pid_namespace", "")),
            start_ticks=int(document.get("start_ticks", 0)),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _start_ticks(pid: str) -> int:
    """0 where it cannot be read; a process's name may hold blanks and parentheses, so fields count from its last one."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
