"""Events and metric samples on their way into the state: a bounded queue, and one thread that writes it in batches.

A step must never wait for the disk because it had something to say. When the queue is full the newest is dropped and
counted, and the count is stored as an event of its own at the end.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import Any

from bedplate.core.errors import BedplateError
from bedplate.core.events import Event, MetricSample, Severity
from bedplate.core.json import plain
from bedplate.state.store import StateStore

_CAPACITY = 20_000
_FLUSH_EVERY_S = 0.25


class StateSink:
    """An `EventSink` for one run; `for_step` gives the sink that fills in a step's name. Thread-safe.

    A state that cannot be written (full disk) does not disturb the step: the first error is kept in `error`.
    """

    def __init__(self, state: StateStore, run_id: str) -> None:
        self.error: BedplateError | None = None
        self._state, self._run_id = state, run_id
        self._waiting: deque[tuple[bool, dict[str, Any]]] = deque()
        self._dropped = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write, name="bedplate-events", daemon=True)
        self._thread.start()

    def for_step(self, step: str) -> StepSink:
        """The sink that a step is given."""
        return StepSink(self, step)

    def emit(self, event: Event, step: str = "") -> None:
        """Take one event."""
        row = {
            "run_id": self._run_id,
            "step": step or event.step,
            "kind": event.kind,
            "at_s": event.at_s,
            "severity": event.severity.value,
            "source": event.source,
            "message": event.message,
            "attributes": plain(event.attributes),
        }
        self._put(True, row)

    def sample(self, sample: MetricSample, step: str = "") -> None:
        """Take one metric sample; a value that is not finite is stored as none."""
        row = {
            "run_id": self._run_id,
            "step": step,
            "name": sample.name,
            "at_s": sample.at_s,
            "value": sample.value if math.isfinite(sample.value) else None,
            "labels": plain(sample.labels),
        }
        self._put(False, row)

    def close(self) -> None:
        """Write what waits, and end the thread. Calling it twice is fine."""
        self._closing.set()
        self._thread.join()

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

    def _dropped_row(self) -> dict[str, Any]:
        return {
            "run_id": self._run_id,
            "step": "",
            "kind": "events.dropped",
            "at_s": time.time(),
            "severity": Severity.WARNING.value,
            "source": "state",
            "message": f"{self._dropped} events or samples came faster than they could be stored",
            "attributes": {"dropped": self._dropped},
        }

    def _flush(self) -> None:
        with self._lock:
            batch, self._waiting = list(self._waiting), deque()
        if not batch:
            return
        try:
            self._state.append([row for is_event, row in batch if is_event], [row for is_event, row in batch if not is_event])
        except BedplateError as error:
            self.error = self.error or error


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
