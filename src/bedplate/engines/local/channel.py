"""The task's end of its line to the engine: datagrams over a socket pair that never make the work wait for long.

A heartbeat is one byte, at most every `HEARTBEAT_INTERVAL_S`, and dropped when the supervisor is so slow that the socket
is full (the engine then still has the beats before it to read). Progress is a message of at most 64 KiB; on a full socket it
waits up to `PROGRESS_PATIENCE_S`, then is dropped, and the next one carries how many were lost as `dropped_before`.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.errors import UsageError
from bedplate.core.json import Json, JsonObject
from bedplate.core.messages import to_bytes

HEARTBEAT = b"h"
HEARTBEAT_INTERVAL_S = 0.05
PROGRESS_PATIENCE_S = 1.0
MAX_MESSAGE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A report of the task."""

    attributes: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the task leaves behind when its entry has ended; nothing where it was killed before."""

    has_returned: bool = False
    result: JsonObject | None = None
    error: str = ""
    """What the entry raised, in one line."""


class SocketChannel:
    """A `TaskChannel` over a connected SOCK_SEQPACKET socket. Thread-safe."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._next_beat_s = 0.0
        self._num_dropped = 0

    def heartbeat(self) -> None:
        """One byte, rate limited; costs well under a microsecond when it is too early for the next."""
        now_s = time.monotonic()
        if now_s >= self._next_beat_s:
            self._next_beat_s = now_s + HEARTBEAT_INTERVAL_S
            self._send(HEARTBEAT, patience_s=0.0)

    def progress(self, attributes: Mapping[str, Json]) -> None:
        """Report; NaN and infinities arrive as such.

        Raises:
            UsageError: More than 64 KiB, or not JSON: progress is for small facts, results and files for large ones.
        """
        with self._lock:
            if self._num_dropped:
                attributes = {**attributes, "dropped_before": self._num_dropped}
            message = _encode(attributes)
            if self._send(message, PROGRESS_PATIENCE_S):
                self._num_dropped = 0
            else:
                self._num_dropped += 1

    def _send(self, message: bytes, patience_s: float) -> bool:
        deadline_s = time.monotonic() + patience_s
        while True:
            try:
                self._connection.send(message, socket.MSG_DONTWAIT)
                return True
            except BlockingIOError:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not select.select([], [self._connection], [], left_s)[1]:
                    return False
            except OSError:
                return False  # the supervisor is gone; the keeper is about to end this process


def _encode(attributes: Mapping[str, Json]) -> bytes:
    try:
        message = to_bytes(Progress(attributes=attributes))
    except (TypeError, ValueError) as error:
        raise UsageError("progress must be JSON", seen=error, expected="numbers, text, lists, mappings") from error
    if len(message) > MAX_MESSAGE_BYTES:
        raise UsageError("progress is too large", seen=f"{len(message)} bytes", expected=f"at most {MAX_MESSAGE_BYTES} bytes")
    return message
