"""What happened to a training run, kept in a file so that it survives the supervisor.

One JSON line an entry, appended as it happens. A line that was cut off by a crash is dropped when the file is read, and so
is everything that another run (other data or settings) left in the same folder.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from bedplate.app.pipeline.contract.measured import Extent
from bedplate.core.errors import MessageError
from bedplate.core.messages import decode, encode
from bedplate.toolchain.train.messages import Report, StepReport


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptBegan:
    """A gang was started."""

    run: str
    """Identity of the run."""
    workers: int
    num_nodes: int = 1
    num_devices: int = 1
    kind: Literal["attempt"] = "attempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A worker was killed on purpose."""

    step: int
    """Step that had just finished."""
    kind: Literal["drill"] = "drill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A worker ended before its time; `at_s` of its entry is when it did, as far as is known."""

    cause: str
    """`drill`, or the engine's cause: `signal`, `hung`, `error`, …"""
    detected_s: float
    """When the supervisor knew."""
    message: str
    kind: Literal["failure"] = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class GangCleared:
    """What was left of a gang after a failure is gone."""

    kind: Literal["cleared"] = "cleared"


What = AttemptBegan | Drill | Failure | GangCleared | Report
Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened."""

    at_s: float
    """Seconds since the epoch."""
    what: What
    rank: int | None = None
    """The worker concerned; None: the supervisor itself."""


class TrainingJournal:
    """The entries of one run in order, on disk as they are added."""

    def __init__(self, file: Path, run: str) -> None:
        """Read what this run left there.

        Raises:
            MessageError: A line is not an entry; the file was changed, or written by another version.
        """
        self._file, self._run = file, run
        self._unwritten = b""
        self.entries: list[Entry] = _of_run(list(_read(file)), run)
        """Oldest first."""

    def begin_attempt(self, at_s: float, workers: int, extent: Extent) -> None:
        """A gang of so many workers was started."""
        began = AttemptBegan(run=self._run, workers=workers, num_nodes=extent.num_nodes, num_devices=extent.num_devices)
        self.add(at_s, began)

    def add(self, at_s: float, what: What, rank: int | None = None) -> None:
        """Append an entry, and write it down.

        A full disk does not end the run: what could not be written is written with the next entry.
        """
        entry = Entry(at_s=at_s, what=what, rank=rank)
        self.entries.append(entry)
        self._unwritten += json.dumps(encode(entry)).encode() + b"\n"
        with contextlib.suppress(OSError):
            _append(self._file, self._unwritten)
            self._unwritten = b""

    def of(self, kind: type[Kind]) -> list[Kind]:
        """What happened of one kind, oldest first."""
        return [entry.what for entry in self.entries if isinstance(entry.what, kind)]

    def steps(self) -> list[StepReport]:
        """The steps that count, by number: of those that were repeated, the last."""
        last = {step.step: step for step in self.of(StepReport)}
        return [last[step] for step in sorted(last)]


def _append(file: Path, data: bytes) -> None:
    """Append all of `data` or none of it."""
    with file.open("ab", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        try:
            if stream.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        except OSError:
            os.ftruncate(stream.fileno(), size)
            raise


def _of_run(entries: list[Entry], run: str) -> list[Entry]:
    """What followed the last attempt at another run."""
    others = [at for at, entry in enumerate(entries) if isinstance(entry.what, AttemptBegan) and entry.what.run != run]
    if not others:
        return entries
    ours = (at for at, entry in enumerate(entries) if at > others[-1] and isinstance(entry.what, AttemptBegan))
    return entries[next(ours, len(entries)) :]


def _read(file: Path) -> Iterator[Entry]:
    if not file.is_file():
        return
    text = file.read_text(encoding="utf-8")
    complete, _, torn = text.rpartition("\n")
    if torn:
        os.truncate(file, len(f"{complete}\n".encode()) if complete else 0)
    for number, line in enumerate(complete.splitlines(), start=1):
        try:
            document = json.loads(line)
        except ValueError as error:
            raise _damaged(file, number, line) from error
        if not isinstance(document, Mapping):
            raise _damaged(file, number, line)
        yield decode(Entry, document)


def _damaged(file: Path, number: int, line: str) -> MessageError:
    next_step = "delete the file: the run resumes without its history"
    return MessageError("a line of the training journal is damaged", seen=f"{file}:{number}: {line[:60]}", next_step=next_step)
