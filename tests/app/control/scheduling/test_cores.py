"""Who has which cores: as many as were counted, each given away as often as its node lists it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.app.control.scheduling.cores import CoreBook
from bedplate.app.control.scheduling.requests import Placed
from bedplate.compute.scheduler.job import Allocation, Request, WorkerPlace
from bedplate.core.errors import ResourcesError
from tests.app.control.service_under_test import node


def give(book: CoreBook, workers: int, cores: int = 1) -> Placed:
    places = tuple(WorkerPlace(node="a") for _ in range(workers))
    return book.give(Request(workers=workers, cpu_milli=1000 * cores), Allocation(model="", places=places))


@settings(max_examples=60, deadline=None)
@given(times=st.integers(1, 2), steps=st.lists(st.tuples(st.booleans(), st.integers(1, 3)), max_size=20))
def test_cores_are_conserved(times: int, steps: list[tuple[bool, int]]) -> None:
    book, machine = CoreBook(), node("a", 4)
    machine = replace(machine, devices=(replace(machine.devices[0], cores=tuple(range(4)) * times),))
    book.add(machine)
    held: list[Placed] = []
    for is_given, workers in steps:
        if is_given:
            try:
                held.append(give(book, workers))
            except ResourcesError:
                assert book.num_free("a") < workers
        elif held:
            book.take_back(held.pop(0).nodes)
        taken = [core for placed in held for part in placed.nodes for core in part.cores]
        assert all(taken.count(core) <= times for core in range(4))
        assert book.num_free("a") == 4 * times - len(taken)


def test_a_core_is_shared_only_where_all_are_taken() -> None:
    book, machine = CoreBook(), node("a", 2)
    book.add(replace(machine, devices=(replace(machine.devices[0], cores=(0, 0, 1, 1)),)))
    assert [give(book, 1).nodes[0].cores for _ in range(4)] == [(0,), (1,), (0,), (1,)]


def test_what_is_not_there_is_not_booked() -> None:
    book = CoreBook()
    book.add(node("a", 2))
    both = Allocation(model="", places=(WorkerPlace(node="a"), WorkerPlace(node="gone")))
    with pytest.raises(ResourcesError, match="node 'gone'"):
        book.give(Request(workers=2), both)
    assert book.num_free("a") == 2


def test_what_jobs_hold_of_a_node_that_is_away_is_kept() -> None:
    book = CoreBook()
    book.add(node("a", 2))
    give(book, 1)
    book.remove("a")
    book.add(node("a", 2))
    assert book.num_free("a") == 1
