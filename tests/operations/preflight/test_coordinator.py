"""The coordinator and its tasks: answers by slot, strangers kept out, losses named. Real sockets; tasks are threads here."""

import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from bedplate.core.errors import UnavailableError
from bedplate.core.messages import encode
from bedplate.operations.preflight.coordinator import ScreeningCoordinator, follow_orders
from bedplate.operations.preflight.messages import (
    Answer,
    Endpoint,
    FailedAnswer,
    Introduction,
    MeasureOrder,
    OpenStoreOrder,
    Order,
    StoreAnswer,
)

MEASURE = MeasureOrder(budget_s=1.0, precisions=("fp32",), largest_buffer_bytes=1)


def opening(number: int) -> OpenStoreOrder:
    return OpenStoreOrder(timeout_s=number)


class Tasks:
    """Threads that follow orders."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.threads: list[threading.Thread] = []
        self.beats = 0

    def start(self, slot: int, carry_out: Callable[[Order], Answer]) -> None:
        thread = threading.Thread(target=follow_orders, args=(self._endpoint, slot, carry_out, self.beat), daemon=True)
        thread.start()
        self.threads.append(thread)

    def beat(self) -> None:
        self.beats += 1


@pytest.fixture
def ended() -> set[int]:
    return set()


@pytest.fixture
def coordinator(ended: set[int]) -> Iterator[ScreeningCoordinator]:
    coordinator = ScreeningCoordinator(lambda: set(ended))
    yield coordinator
    coordinator.close()


@pytest.fixture
def tasks(coordinator: ScreeningCoordinator) -> Iterator[Tasks]:
    tasks = Tasks(coordinator.endpoint)
    yield tasks
    coordinator.close()
    for thread in tasks.threads:
        thread.join(5.0)
        assert not thread.is_alive(), "a task must end when the coordinator disconnects"


def double(order: Order) -> Answer:
    """Answers openings with twice their number; cannot measure."""
    if isinstance(order, OpenStoreOrder):
        return StoreAnswer(port=int(2 * order.timeout_s))
    raise RuntimeError("connection closed by peer\nlong story")


def test_each_slot_answers_its_own_order_again_and_again(coordinator: ScreeningCoordinator, tasks: Tasks) -> None:
    for slot in range(3):
        tasks.start(slot, double)
    coordinator.gather({0, 1, 2}, 10.0)
    for number in range(3):
        answers = coordinator.ask({slot: opening(slot + number) for slot in (0, 2)}, 10.0)
        assert answers == {0: StoreAnswer(port=2 * number), 2: StoreAnswer(port=2 * (2 + number))}
    assert coordinator.lost == {}
    assert tasks.beats >= 3


def test_an_order_that_fails_is_an_answer_and_the_task_continues(coordinator: ScreeningCoordinator, tasks: Tasks) -> None:
    tasks.start(0, double)
    coordinator.gather({0}, 10.0)
    assert coordinator.ask({0: MEASURE}, 10.0) == {0: FailedAnswer(error="connection closed by peer")}
    assert coordinator.ask({0: opening(4)}, 10.0) == {0: StoreAnswer(port=8)}


def test_a_late_task_is_not_asked_again(coordinator: ScreeningCoordinator, tasks: Tasks) -> None:
    release = threading.Event()

    def hang(_order: Order) -> Answer:
        release.wait(30)
        return StoreAnswer(port=0)

    tasks.start(0, hang)
    tasks.start(1, double)
    coordinator.gather({0, 1}, 10.0)
    answers = coordinator.ask({0: opening(1), 1: opening(1)}, 0.5)
    release.set()
    assert (answers, coordinator.lost) == ({1: StoreAnswer(port=2)}, {0: "late"})
    assert coordinator.ask({0: opening(1)}, 30.0) == {}


def test_a_task_that_disconnects_has_ended(coordinator: ScreeningCoordinator) -> None:
    endpoint = coordinator.endpoint
    with socket.create_connection((endpoint.host, endpoint.port)) as connection:
        connection.sendall(json.dumps(encode(Introduction(slot=0, token=endpoint.token))).encode() + b"\n")
        coordinator.gather({0}, 10.0)
    assert coordinator.ask({0: opening(1)}, 10.0) == {}
    assert coordinator.lost == {0: "ended"}


def test_another_task_may_take_the_place_of_a_lost_one(
    coordinator: ScreeningCoordinator, tasks: Tasks, ended: set[int]
) -> None:
    ended.add(0)
    coordinator.gather({0}, 10.0)
    assert coordinator.lost == {0: "ended"}
    ended.clear()
    coordinator.expect_again(0)
    tasks.start(0, double)
    coordinator.gather({0}, 10.0)
    assert coordinator.ask({0: opening(3)}, 10.0) == {0: StoreAnswer(port=6)}


def test_an_answer_of_another_version_fails_its_slot_only(coordinator: ScreeningCoordinator) -> None:
    endpoint = coordinator.endpoint
    with socket.create_connection((endpoint.host, endpoint.port)) as connection:
        connection.sendall(json.dumps(encode(Introduction(slot=0, token=endpoint.token))).encode() + b"\n")
        coordinator.gather({0}, 10.0)
        connection.sendall(b'{"answer": {"kind": "store", "port": 1, "colour": "red"}}\n')
        (answer,) = coordinator.ask({0: opening(1)}, 10.0).values()
    assert isinstance(answer, FailedAnswer)
    assert "colour" in answer.error


def test_a_task_that_ended_before_it_connected_is_not_waited_for(coordinator: ScreeningCoordinator, ended: set[int]) -> None:
    ended.add(0)
    coordinator.gather({0}, 60.0)
    assert coordinator.lost == {0: "ended"}


def test_a_task_that_never_connects_is_late(coordinator: ScreeningCoordinator) -> None:
    coordinator.gather({0}, 0.3)
    assert coordinator.lost == {0: "late"}


@pytest.mark.parametrize("words", [b'{"slot": 0, "token": "guess"}\n', b'{"slot": 7}\n', b"GET / HTTP/1.1\r\n\r\n", b""])
def test_strangers_are_kept_out_and_do_no_harm(coordinator: ScreeningCoordinator, tasks: Tasks, words: bytes) -> None:
    endpoint = coordinator.endpoint
    with socket.create_connection((endpoint.host, endpoint.port)) as stranger:
        stranger.sendall(words)
        stranger.shutdown(socket.SHUT_WR)
        tasks.start(0, double)
        coordinator.gather({0}, 10.0)
        assert stranger.recv(100) == b""
    assert coordinator.ask({0: opening(1)}, 10.0) == {0: StoreAnswer(port=2)}


def test_a_coordinator_that_is_gone_is_an_error_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UnavailableError, match="cannot reach the screening process"):
        follow_orders(Endpoint(host="127.0.0.1", port=port, token=""), 0, double, lambda: None)
