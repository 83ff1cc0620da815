"""Conformance: a core that is left out gets no more work, and stays in sight."""

import pytest

from bedplate.core.devices import Exclusion
from bedplate.core.errors import NotFoundError, ResourcesError
from bedplate.core.workload import TaskState
from bedplate.engines.base import CanExclude, Engine, num_usable_cores
from tests.engines.registry import EngineUnderTest
from tests.engines.workloads import endless, finishing, gang


def test_nothing_is_placed_on_an_excluded_core(under_test: EngineUnderTest) -> None:
    engine = under_test.engine
    assert isinstance(engine, CanExclude)
    node = engine.resources()[0]
    core = node.devices[0].cores[0]
    engine.exclude(node.id, (core,), "measured at half the speed of its peers")
    with pytest.raises(ResourcesError):
        engine.submit(gang(*[finishing()] * under_test.num_cores))
    status = engine.wait(engine.submit(gang(*[finishing()] * (under_test.num_cores - 1))))
    assert status.state is TaskState.DONE


def test_an_excluded_core_is_still_listed_with_its_reason(under_test: EngineUnderTest) -> None:
    engine = under_test.engine
    assert isinstance(engine, CanExclude)
    assert engine.exclusions() == ()
    before = engine.resources()
    node = before[0]
    core = node.devices[0].cores[0]
    engine.exclude(node.id, (core,), "too slow; core 1: hot")
    assert engine.resources() == before
    assert engine.exclusions() == (Exclusion(node_id=node.id, cores=(core,), reason="too slow; core 1: hot"),)
    assert sum(num_usable_cores(engine).values()) == under_test.num_cores - 1


def test_what_runs_on_an_excluded_core_goes_on(engine: Engine) -> None:
    assert isinstance(engine, CanExclude)
    handle = engine.submit(gang(endless()))
    (running,) = engine.status(handle).tasks
    engine.exclude(running.node, running.cores, "wanted elsewhere")
    assert not engine.wait(handle, timeout_s=0.1).is_final
    engine.cancel(handle)
    assert engine.status(handle).state is TaskState.CANCELLED


def test_what_is_not_there_cannot_be_excluded(engine: Engine) -> None:
    assert isinstance(engine, CanExclude)
    with pytest.raises(NotFoundError, match="nowhere"):
        engine.exclude("nowhere", (0,), "gone")
    with pytest.raises(NotFoundError, match="4096"):
        engine.exclude(engine.resources()[0].id, (4096,), "gone")
