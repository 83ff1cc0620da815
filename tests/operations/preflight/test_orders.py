"""The desk and its tasks: answers by rank, strangers kept out, losses named. Real sockets, tasks as threads of this test."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping

import pytest

from bedplate.core.errors import UnavailableError
from bedplate.core.json import JsonObject
from bedplate.operations.preflight.orders import Handler, OrderDesk, follow_orders


class Tasks:
    """Threads that follow orders."""

    def __init__(self, contact: JsonObject) -> None:
        self._contact = contact
        self.threads: list[threading.Thread] = []
        self.beats = 0

    def start(self, rank: int, handlers: Mapping[str, Handler]) -> None:
        thread = threading.Thread(target=follow_orders, args=(self._contact, rank, handlers, self.beat), daemon=True)
        thread.start()
        self.threads.append(thread)

    def beat(self) -> None:
        self.beats += 1


@pytest.fixture
def ended() -> set[int]:
    return set()


@pytest.fixture
def desk(ended: set[int]) -> Iterator[OrderDesk]:
    desk = OrderDesk(lambda: set(ended))
    yield desk
    desk.close()


@pytest.fixture
def tasks(desk: OrderDesk) -> Iterator[Tasks]:
    tasks = Tasks(desk.contact)
    yield tasks
    desk.close()
    for thread in tasks.threads:
        thread.join(5.0)
        assert not thread.is_alive(), "a task must end when the desk hangs up"


def double(order: JsonObject) -> JsonObject:
    return {"twice": 2 * int(order["number"])}  # type: ignore[arg-type]


def fail(_order: JsonObject) -> JsonObject:
    raise RuntimeError("connection closed by peer\nlong story")


def test_each_rank_answers_its_own_order_again_and_again(desk: OrderDesk, tasks: Tasks) -> None:
    for rank in range(3):
        tasks.start(rank, {"double": double})
    desk.gather({0, 1, 2}, 10.0)
    for number in range(3):
        answers = desk.ask({rank: {"order": "double", "number": rank + number} for rank in (0, 2)}, 10.0)
        assert answers == {0: {"twice": 2 * number}, 2: {"twice": 2 * (2 + number)}}
    assert desk.lost == {}
    assert tasks.beats >= 3


def test_an_order_that_fails_is_an_answer_and_the_task_goes_on(desk: OrderDesk, tasks: Tasks) -> None:
    tasks.start(0, {"double": double, "fail": fail})
    desk.gather({0}, 10.0)
    assert desk.ask({0: {"order": "fail"}}, 10.0) == {0: {"error": "connection closed by peer"}}
    assert desk.ask({0: {"order": "double", "number": 4}}, 10.0) == {0: {"twice": 8}}


def test_who_does_not_answer_in_time_is_lost_as_hung_and_not_asked_again(desk: OrderDesk, tasks: Tasks) -> None:
    release = threading.Event()

    def hang(_order: JsonObject) -> JsonObject:
        release.wait(30)
        return {}

    tasks.start(0, {"hang": hang})
    tasks.start(1, {"double": double})
    desk.gather({0, 1}, 10.0)
    answers = desk.ask({0: {"order": "hang"}, 1: {"order": "double", "number": 1}}, 0.5)
    release.set()
    assert (answers, desk.lost) == ({1: {"twice": 2}}, {0: "hung"})
    assert desk.ask({0: {"order": "hang"}}, 30.0) == {}


def test_a_task_that_hangs_up_is_lost_as_died(desk: OrderDesk) -> None:
    contact = desk.contact
    with socket.create_connection((contact["host"], contact["port"])) as connection:  # type: ignore[arg-type]
        connection.sendall(json.dumps({"rank": 0, "token": contact["token"]}).encode() + b"\n")
        desk.gather({0}, 10.0)
    assert desk.ask({0: {"order": "double", "number": 1}}, 10.0) == {}
    assert desk.lost == {0: "died"}


def test_a_task_that_ended_before_it_called_is_not_waited_for(desk: OrderDesk, ended: set[int]) -> None:
    ended.add(0)
    desk.gather({0}, 60.0)
    assert desk.lost == {0: "died"}


def test_a_task_that_never_calls_is_lost_as_hung(desk: OrderDesk) -> None:
    desk.gather({0}, 0.3)
    assert desk.lost == {0: "hung"}


@pytest.mark.parametrize("words", [b'{"rank": 0, "token": "guess"}\n', b'{"rank": 7}\n', b"GET / HTTP/1.1\r\n\r\n", b""])
def test_strangers_are_kept_out_and_do_no_harm(desk: OrderDesk, tasks: Tasks, words: bytes) -> None:
    contact = desk.contact
    with socket.create_connection((contact["host"], contact["port"])) as stranger:  # type: ignore[arg-type]
        stranger.sendall(words)
        stranger.shutdown(socket.SHUT_WR)
        tasks.start(0, {"double": double})
        desk.gather({0}, 10.0)
        assert stranger.recv(100) == b""
    assert desk.ask({0: {"order": "double", "number": 1}}, 10.0) == {0: {"twice": 2}}


def test_a_desk_that_is_gone_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UnavailableError, match="cannot be reached"):
        follow_orders({"host": "127.0.0.1", "port": port, "token": ""}, 0, {}, lambda: None)
