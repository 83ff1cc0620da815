"""Events and metric samples on their way into the state: a bounded queue, and one thread that writes it in batches.

A step must never wait for the disk because it had something to say. When the queue is full, what comes next is dropped
and counted, and the count is stored as an event of its own at the end. A batch that cannot be stored for the moment
(locked, server away) is tried again, so a short outage loses nothing.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

from bedplate.core.errors import BedplateError, UnavailableError
from bedplate.core.events.event import Event, MetricSample, SinkStatistics, Subject, run_subject
from bedplate.core.events.kinds import EventsDropped, make_event
from bedplate.core.json import plain
from bedplate.state.database.rows import storable
from bedplate.state.store import StateStore

_CAPACITY = 20_000
_FLUSH_EVERY_S = 0.25


class StateSink:
    """An `EventSink` that stores; what has no subject of its own is about `subject`. Thread-safe.

    A state that cannot be written (full disk) does not disturb the step: the first error is kept in `error`.

    Args:
        state: Where events and samples go; it stays open.
        subject: What they are about unless they say so.
        run_id: The run that they happen in; empty: none.
    """

    def __init__(self, state: StateStore, subject: Subject, run_id: str = "") -> None:
        self.error: BedplateError | None = None
        self._state, self._subject, self._run_id = state, subject, run_id
        self._waiting: deque[tuple[bool, dict[str, Any]]] = deque()
        self._written = self._dropped = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write, name="bedplate-events", daemon=True)
        self._thread.start()

    @classmethod
    def for_run(cls, state: StateStore, run_id: str) -> StateSink:
        """The sink of a run."""
        return cls(state, run_subject(run_id), run_id)

    def for_step(self, step: str) -> StepSink:
        """The sink that a step is given; only for the sink of a run."""
        return StepSink(self, step)

    def emit(self, event: Event, step: str = "") -> None:
        """Take one event."""
        self._put(True, self._row(event, step))

    def sample(self, sample: MetricSample, step: str = "") -> None:
        """Take one metric sample; a value that is not finite is stored as none."""
        row = self._head(sample.subject, step) | {
            "name": sample.name,
            "at_s": sample.at_s,
            "value": sample.value if math.isfinite(sample.value) else None,
            "labels": plain(sample.labels),
        }
        self._put(False, row)

    def statistics(self) -> SinkStatistics:
        """Counts since it was opened."""
        with self._lock:
            return SinkStatistics(written=self._written, waiting=len(self._waiting), dropped=self._dropped)

    def close(self) -> None:
        """Write what waits, and end the thread. Calling it twice is fine."""
        self._closing.set()
        self._thread.join()

    def _row(self, event: Event, step: str = "") -> dict[str, Any]:
        return self._head(event.subject, step) | {
            "kind": event.kind,
            "at_s": event.at_s,
            "severity": event.severity.value,
            "source": event.source,
            "message": storable(event.message),
            "attributes": plain(event.attributes),
        }

    def _head(self, subject: Subject | None, step: str) -> dict[str, Any]:
        subject = subject or (run_subject(self._run_id, step) if step else self._subject)
        return {
            "subject_kind": subject.kind.value,
            "subject_id": storable(subject.id),
            "run_id": self._run_id or None,
            "step": step,
        }

    def _put(self, is_event: bool, row: dict[str, Any]) -> None:
        with self._lock:
            if len(self._waiting) >= _CAPACITY:
                self._dropped += 1
            else:
                self._waiting.append((is_event, row))

    def _write(self) -> None:
        while not self._closing.wait(_FLUSH_EVERY_S):
            self._flush()
        if self._dropped:
            self._waiting.append((True, self._dropped_row()))
        self._flush()
        with self._lock:
            self._dropped += len(self._waiting)
            self._waiting.clear()

    def _dropped_row(self) -> dict[str, Any]:
        facts = EventsDropped(dropped=self._dropped)
        message = f"{self._dropped} events or samples came faster than they could be stored"
        return self._row(make_event(facts, at_s=self._state.clock.now(), message=message, source="state"))

    def _flush(self) -> None:
        with self._lock:
            batch, self._waiting = list(self._waiting), deque()
        if not batch:
            return
        try:
            self._state.append([row for is_event, row in batch if is_event], [row for is_event, row in batch if not is_event])
        except BedplateError as error:
            self.error = self.error or error
            self._keep_for_later(batch if isinstance(error, UnavailableError) else [], len(batch))
        else:
            with self._lock:
                self._written += len(batch)

    def _keep_for_later(self, batch: list[tuple[bool, dict[str, Any]]], num_tried: int) -> None:
        with self._lock:
            room = max(0, _CAPACITY - len(self._waiting))
            self._waiting.extendleft(reversed(batch[:room]))
            self._dropped += num_tried - len(batch[:room])


class StepSink:
    """The `EventSink` of one step."""

    def __init__(self, sink: StateSink, step: str) -> None:
        self._sink, self._step = sink, step

    def emit(self, event: Event) -> None:
        """Take one event."""
        self._sink.emit(event, self._step)

    def sample(self, sample: MetricSample) -> None:
        """Take one metric sample."""
        self._sink.sample(sample, self._step)

    def statistics(self) -> SinkStatistics:
        """Counts of the run's sink."""
        return self._sink.statistics()
