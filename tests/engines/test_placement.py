"""Conformance: a gang runs where a scheduler placed it, or not at all."""

import pytest

from bedplate.core.errors import ResourcesError, UsageError
from bedplate.core.workload import Placement, TaskPlacement, TaskState
from bedplate.engines.base import CanExclude, Engine
from tests.engines.registry import EngineUnderTest
from tests.engines.seen import seen_by
from tests.engines.workloads import endless, finishing, gang, task


def places_of(engine: Engine) -> list[TaskPlacement]:
    """One place for each core of the engine, the last node's first."""
    return [
        TaskPlacement(node=node.id, cores=(core,))
        for node in reversed(engine.resources())
        for device in node.devices
        for core in reversed(device.cores)
    ]


def test_every_task_runs_where_it_was_placed(under_test: EngineUnderTest) -> None:
    engine = under_test.engine
    places = places_of(engine)[:2]
    status = engine.wait(engine.submit(gang(finishing(), finishing()), Placement(tasks=tuple(places))))
    assert status.state is TaskState.DONE, status
    assert [(item.node, item.cores) for item in status.tasks] == [(place.node, place.cores) for place in places]


@pytest.mark.needs("execution")
def test_a_placed_task_is_pinned_to_its_cores(engine: Engine) -> None:
    place = places_of(engine)[0]
    (ended,) = engine.wait(engine.submit(gang(task("describe")), Placement(tasks=(place,)))).tasks
    assert seen_by(ended).affinity == place.cores


def test_a_place_that_is_taken_is_refused_until_it_is_free(engine: Engine) -> None:
    placement = Placement(tasks=(places_of(engine)[0],))
    first = engine.submit(gang(endless()), placement)
    with pytest.raises(ResourcesError):
        engine.submit(gang(finishing()), placement)
    assert engine.gangs() == (first,), "nothing of the refused gang is known"
    engine.cancel(first)
    assert engine.wait(engine.submit(gang(finishing()), placement)).state is TaskState.DONE


def test_an_excluded_place_is_refused(engine: Engine) -> None:
    assert isinstance(engine, CanExclude)
    place = places_of(engine)[0]
    engine.exclude(place.node, place.cores, "too slow")
    with pytest.raises(ResourcesError):
        engine.submit(gang(finishing()), Placement(tasks=(place,)))


def test_a_node_that_is_not_there_is_named(engine: Engine) -> None:
    with pytest.raises(ResourcesError, match="no node 'nowhere'"):
        engine.submit(gang(finishing()), Placement(tasks=(TaskPlacement(node="nowhere", cores=(0,)),)))


def test_a_placement_for_another_gang_is_refused(engine: Engine) -> None:
    with pytest.raises(UsageError, match="has 1 entries"):
        engine.submit(gang(finishing(), finishing()), Placement(tasks=(places_of(engine)[0],)))
