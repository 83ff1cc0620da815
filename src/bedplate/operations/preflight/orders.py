"""Orders from who screens to the tasks that are screened, and their answers: JSON lines over TCP, dialled by the tasks.

The slots are held by one gang for the whole screening, so that what was measured is what was paired. Each task has a
line of its own to the desk and none depends on another, so a task that dies or hangs is an answer too: `lost`.
A token that only the gang's spec carries keeps strangers out.
"""

from __future__ import annotations

import hmac
import json
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

from bedplate.core.errors import BedplateError, UnavailableError
from bedplate.core.json import JsonObject

POLL_S = 0.1
LONGEST_LINE_BYTES = 2**20
Loss = Literal["died", "hung"]


@dataclass(slots=True)
class _Line:
    """One task's connection, and what it has sent of its next line."""

    connection: socket.socket
    pending: bytearray = field(default_factory=bytearray)


class OrderDesk:
    """The giving end. One thread only.

    Args:
        host: Address that the tasks can reach.
        ended: Ranks that the engine says have ended; asked several times a second. May raise, to end a wait.
    """

    def __init__(self, ended: Callable[[], Set[int]], host: str = "127.0.0.1") -> None:
        self._ended = ended
        self._listener = socket.create_server((host, 0))
        self._token = secrets.token_hex(16)
        self._lines: dict[int, _Line] = {}
        self.lost: dict[int, Loss] = {}
        """Ranks that will answer no more, and why."""

    @property
    def contact(self) -> JsonObject:
        """What a task needs to call: goes into its spec."""
        host, port = self._listener.getsockname()[:2]
        return {"host": host, "port": port, "token": self._token}

    def host_of(self, rank: int) -> str:
        """The address that a rank called from."""
        return str(self._lines[rank].connection.getpeername()[0])

    def gather(self, ranks: Set[int], timeout_s: float) -> None:
        """Wait until every rank has called; who has not by then is lost."""
        deadline_s = time.monotonic() + timeout_s
        while missing := ranks - self._lines.keys() - self.lost.keys():
            if time.monotonic() > deadline_s:
                self.lost |= dict.fromkeys(missing, "hung")
                return
            self.lost |= dict.fromkeys(self._ended() & missing, "died")
            if select.select([self._listener], [], [], POLL_S)[0]:
                self._admit(ranks)

    def ask(self, orders: Mapping[int, JsonObject], timeout_s: float) -> dict[int, JsonObject]:
        """Give each rank its order and wait for the answers; a rank without one is in `lost` afterwards."""
        waiting = {rank for rank in orders if rank in self._lines and rank not in self.lost}
        for rank in sorted(waiting):
            try:
                self._lines[rank].connection.sendall(json.dumps(orders[rank]).encode() + b"\n")
            except OSError:
                self._lose(rank, "died")
        answers: dict[int, JsonObject] = {}
        deadline_s = time.monotonic() + timeout_s
        while waiting := waiting - answers.keys() - self.lost.keys():
            if time.monotonic() > deadline_s:
                for rank in waiting:
                    self._lose(rank, "hung")
                break
            answers |= dict(self._received(waiting))
            for rank in self._ended() & waiting - answers.keys():
                self._lose(rank, "died")
        return answers

    def close(self) -> None:
        """Hang up on everybody; tasks that wait for an order then end."""
        self._listener.close()
        for line in self._lines.values():
            line.connection.close()

    def _admit(self, ranks: Set[int]) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(2.0)
        try:
            with connection.makefile("rb") as stream:
                introduction = json.loads(stream.readline(LONGEST_LINE_BYTES))
            rank, token = int(introduction["rank"]), str(introduction["token"])
        except (OSError, ValueError, KeyError, TypeError):
            connection.close()
            return
        if not hmac.compare_digest(token, self._token) or rank not in ranks or rank in self._lines:
            connection.close()
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines[rank] = _Line(connection)

    def _received(self, waiting: Set[int]) -> Iterator[tuple[int, JsonObject]]:
        by_connection = {self._lines[rank].connection: rank for rank in waiting}
        for connection in select.select(list(by_connection), [], [], POLL_S)[0]:
            rank = by_connection[connection]
            answer = self._read_line(rank)
            if answer is not None:
                yield rank, answer

    def _read_line(self, rank: int) -> JsonObject | None:
        line = self._lines[rank]
        try:
            data = line.connection.recv(65536)
        except OSError:
            data = b""
        line.pending += data
        if not data or len(line.pending) > LONGEST_LINE_BYTES:
            self._lose(rank, "died")
            return None
        if not line.pending.endswith(b"\n"):
            return None
        answer: JsonObject = json.loads(bytes(line.pending))
        line.pending.clear()
        return answer

    def _lose(self, rank: int, loss: Loss) -> None:
        self.lost[rank] = loss
        self._lines[rank].connection.close()


Handler = Callable[[JsonObject], JsonObject]


def follow_orders(contact: JsonObject, rank: int, handlers: Mapping[str, Handler], beat: Callable[[], None]) -> int:
    """The taking end: call the desk, carry out orders by their `order` word until it hangs up; returns how many.

    An order that fails with a known kind of error is answered with `{"error": …}`; anything else ends the task, and that is a
    finding as well. `beat` is called at least once a second while there is nothing to do.

    Raises:
        UnavailableError: The desk cannot be reached.
    """
    try:
        connection = socket.create_connection((str(contact["host"]), int(contact["port"])), timeout=10.0)  # type: ignore[arg-type]
    except OSError as error:
        raise UnavailableError("who screens cannot be reached", seen=f"{contact['host']}:{contact['port']}: {error}") from error
    num_done = 0
    with connection:
        connection.sendall(json.dumps({"rank": rank, "token": contact["token"]}).encode() + b"\n")
        for order in _orders(connection, beat):
            answer = json.dumps(_carry_out(handlers[str(order["order"])], order))
            try:
                connection.sendall(answer.encode() + b"\n")
            except OSError:
                break  # the desk hung up while we worked
            num_done += 1
    return num_done


def _orders(connection: socket.socket, beat: Callable[[], None]) -> Iterator[JsonObject]:
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
            yield json.loads(pending)
            pending = b""


def _carry_out(handler: Handler, order: JsonObject) -> JsonObject:
    try:
        return handler(order)
    except (BedplateError, RuntimeError, OSError) as error:
        words = str(error).strip().splitlines()
        return {"error": words[0] if words else type(error).__name__}
