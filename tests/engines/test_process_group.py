"""Rendezvous of a gang: nobody waits for ever for a rank that does not come."""

import socket
import time

import pytest

from bedplate.compute.backends.cpu import BACKEND as CPU
from bedplate.core.errors import UnavailableError
from bedplate.core.task import TaskContext
from bedplate.engines.process_group import joined


class _Silent:
    def heartbeat(self) -> None: ...

    def progress(self, attributes: object) -> None: ...


def make_context(world_size: int) -> TaskContext:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return TaskContext(gang="g", rank=0, world_size=world_size, rendezvous=f"127.0.0.1:{port}", spec={}, channel=_Silent())


def test_a_gang_of_one_needs_no_rendezvous() -> None:
    import torch.distributed as distributed

    with joined(make_context(1), CPU):
        assert not distributed.is_initialized()


def test_a_missing_rank_is_an_error_that_names_the_rendezvous() -> None:
    context = make_context(2)
    with (
        pytest.raises(UnavailableError, match=r"2 processes at 127\.0\.0\.1:\d+ within 1 s"),
        joined(context, CPU, timeout_s=1.0),
    ):
        pass


def test_an_unknown_interface_is_refused_before_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "ib7")
    start_s = time.monotonic()
    with pytest.raises(UnavailableError, match=r"seen: ib7; expected: some of .*lo") as caught, joined(make_context(2), CPU):
        pass
    assert "unset GLOO_SOCKET_IFNAME" in str(caught.value)
    assert time.monotonic() - start_s < 1
