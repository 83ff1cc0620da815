"""The fixture that runs each test of the suite on every engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedplate.core.workload import TaskEvent, TaskEventKind
from bedplate.engines.base import Engine, GangHandle
from tests.engines.registry import ENGINES, GAPS, EngineUnderTest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(ability): beyond the bare engine contract; see tests/engines/registry.py")


@pytest.fixture(params=list(ENGINES))
def under_test(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineUnderTest]:
    for mark in request.node.iter_markers("needs"):
        if (gap := GAPS.get(request.param, {}).get(mark.args[0])) is not None:
            reason = f"{request.param} lacks {mark.args[0]}: {gap.reason}"
            request.node.add_marker(pytest.mark.xfail(reason=reason, raises=gap.raises, strict=True))
    opened = ENGINES[request.param](tmp_path / "engine")
    yield opened
    opened.close()


@pytest.fixture
def engine(under_test: EngineUnderTest) -> Engine:
    return under_test.engine


@pytest.fixture
def wait_ready(under_test: EngineUnderTest) -> Callable[[GangHandle], None]:
    """Wait until every task of a gang has reported something."""

    def wait(handle: GangHandle) -> None:
        events: tuple[TaskEvent, ...] = ()
        while len({event.rank for event in events if event.kind is TaskEventKind.PROGRESS}) < handle.num_tasks:
            newer = under_test.engine.events(handle, len(events), under_test.patience_s)
            assert newer, "no task reported in time"
            assert all(event.kind is not TaskEventKind.EXITED for event in newer), under_test.engine.status(handle)
            events += newer

    return wait
