"""Orders from the screening process to the tasks that hold the slots, and their answers: JSON lines over TCP.

The tasks connect. They hold their slots throughout the screening, so that what was measured is what was paired. Each has a
connection of its own to the coordinator and none depends on another, so a task that ends or stays silent is an answer too:
`lost`. A token that only the tasks' spec carries keeps other processes out.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

from bedplate.core.errors import BedplateError, MessageError, UnavailableError
from bedplate.core.messages import decode, encode
from bedplate.operations.preflight.messages import (
    Answer,
    AnswerLine,
    Endpoint,
    FailedAnswer,
    Introduction,
    Order,
    OrderLine,
)

POLL_S = 0.1
MAX_LINE_BYTES = 2**20
Loss = Literal["ended", "late"]
"""The task ended, according to the engine or the connection; or it is alive but did not answer in time."""


@dataclass(slots=True)
class _Connection:
    """One task's connection, and what it has sent of its next line."""

    socket: socket.socket
    pending: bytearray = field(default_factory=bytearray)


class ScreeningCoordinator:
    """Gives orders and collects answers. One thread only.

    Args:
        ended: Slots whose task has ended according to the engine; called several times a second. May raise, to end a wait.
        host: Address that the tasks can reach.
    """

    def __init__(self, ended: Callable[[], Set[int]], host: str = "127.0.0.1") -> None:
        self._ended = ended
        self._listener = socket.create_server((host, 0))
        self._token = secrets.token_hex(16)
        self._connections: dict[int, _Connection] = {}
        self.lost: dict[int, Loss] = {}
        """Slots whose task will not answer again, and why."""

    @property
    def endpoint(self) -> Endpoint:
        """What a task needs to connect: goes into its spec."""
        host, port = self._listener.getsockname()[:2]
        return Endpoint(host=host, port=port, token=self._token)

    def host_of(self, slot: int) -> str:
        """The address that a slot's task connected from."""
        return str(self._connections[slot].socket.getpeername()[0])

    def gather(self, slots: Set[int], timeout_s: float) -> None:
        """Wait until the task of every slot has connected; one that has not by then is lost."""
        deadline_s = time.monotonic() + timeout_s
        while missing := slots - self._connections.keys() - self.lost.keys():
            if time.monotonic() > deadline_s:
                self.lost |= dict.fromkeys(missing, "late")
                return
            self.lost |= dict.fromkeys(self._ended() & missing, "ended")
            if select.select([self._listener], [], [], POLL_S)[0]:
                self._admit(slots)

    def ask(self, orders: Mapping[int, Order], timeout_s: float) -> dict[int, Answer]:
        """Give each slot's task its order and wait for the answers; a slot without one is in `lost` afterwards."""
        waiting = {slot for slot in orders if slot in self._connections and slot not in self.lost}
        for slot in sorted(waiting):
            try:
                self._connections[slot].socket.sendall(_line(OrderLine(order=orders[slot])))
            except OSError:
                self._mark_lost(slot, "ended")
        answers: dict[int, Answer] = {}
        deadline_s = time.monotonic() + timeout_s
        while waiting := waiting - answers.keys() - self.lost.keys():
            if time.monotonic() > deadline_s:
                for slot in waiting:
                    self._mark_lost(slot, "late")
                break
            answers |= dict(self._received(waiting))
            for slot in self._ended() & waiting - answers.keys():
                self._mark_lost(slot, "ended")
        return answers

    def expect_again(self, slot: int) -> None:
        """Forget the lost task of a slot: another one will connect for it."""
        self.lost.pop(slot, None)
        if (connection := self._connections.pop(slot, None)) is not None:
            connection.socket.close()

    def close(self) -> None:
        """Disconnect all tasks; those that wait for an order then end."""
        self._listener.close()
        for connection in self._connections.values():
            connection.socket.close()

    def _admit(self, slots: Set[int]) -> None:
        dialled, _ = self._listener.accept()
        dialled.settimeout(2.0)
        try:
            with dialled.makefile("rb") as stream:
                introduction = decode(Introduction, json.loads(stream.readline(MAX_LINE_BYTES)))
        except (OSError, ValueError, MessageError):
            dialled.close()
            return
        is_ours = hmac.compare_digest(introduction.token, self._token)
        if not is_ours or introduction.slot not in slots or introduction.slot in self._connections:
            dialled.close()
            return
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[introduction.slot] = _Connection(dialled)

    def _received(self, waiting: Set[int]) -> Iterator[tuple[int, Answer]]:
        by_socket = {self._connections[slot].socket: slot for slot in waiting}
        for ready in select.select(list(by_socket), [], [], POLL_S)[0]:
            slot = by_socket[ready]
            answer = self._read_answer(slot)
            if answer is not None:
                yield slot, answer

    def _read_answer(self, slot: int) -> Answer | None:
        connection = self._connections[slot]
        try:
            data = connection.socket.recv(65536)
        except OSError:
            data = b""
        connection.pending += data
        if not data or len(connection.pending) > MAX_LINE_BYTES:
            self._mark_lost(slot, "ended")
            return None
        if not connection.pending.endswith(b"\n"):
            return None
        line = bytes(connection.pending)
        connection.pending.clear()
        try:
            return decode(AnswerLine, json.loads(line)).answer
        except (ValueError, MessageError) as error:
            return FailedAnswer(error=f"its answer cannot be read: {error}")

    def _mark_lost(self, slot: int, loss: Loss) -> None:
        self.lost[slot] = loss
        self._connections[slot].socket.close()


def follow_orders(endpoint: Endpoint, slot: int, carry_out: Callable[[Order], Answer], beat: Callable[[], None]) -> int:
    """A task's side: connect, carry out orders until the coordinator disconnects; returns how many there were.

    An order that fails with a known kind of error is answered with `FailedAnswer`; anything else ends the task, and that is
    a finding as well. `beat` is called at least once a second while there is nothing to do.

    Raises:
        UnavailableError: The coordinator cannot be reached.
        MessageError: An order is not of this version.
    """
    try:
        connection = socket.create_connection((endpoint.host, endpoint.port), timeout=10.0)
    except OSError as error:
        raise UnavailableError(
            "cannot reach the screening process",
            seen=f"{endpoint.host}:{endpoint.port}: {error}",
            expected="an address that the tasks' machines can reach",
        ) from error
    beat()  # before it can be given orders: from now on silence is noticed
    num_done = 0
    with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it disconnected while we worked
        connection.sendall(_line(Introduction(slot=slot, token=endpoint.token)))
        for order in _orders(connection, beat):
            connection.sendall(_line(AnswerLine(answer=_answer(carry_out, order))))
            num_done += 1
    return num_done


def _orders(connection: socket.socket, beat: Callable[[], None]) -> Iterator[Order]:
    pending = b""
    while True:
        beat()
        if not select.select([connection], [], [], 1.0)[0]:
            continue
        try:
            data = connection.recv(65536)
        except OSError:
            return
        if not data:
            return
        pending += data
        if pending.endswith(b"\n"):
            yield decode(OrderLine, json.loads(pending)).order
            pending = b""


def _answer(carry_out: Callable[[Order], Answer], order: Order) -> Answer:
    try:
        return carry_out(order)
    except (BedplateError, RuntimeError, OSError) as error:
        lines = str(error).strip().splitlines()
        return FailedAnswer(error=lines[0] if lines else type(error).__name__)


def _line(message: object) -> bytes:
    return json.dumps(encode(message)).encode() + b"\n"
