"""Cores: the default policy places as it says, and the ledger hands nothing out twice."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.devices import Device, Node
from bedplate.core.errors import NotFoundError, ResourcesError, UsageError
from bedplate.core.workload import Gang, Placement, Resources, Task, TaskPlacement
from bedplate.engines.ledger import NodeLedger, reserve

GB = 10**9


def ask(*cpus: int, **needs: Any) -> Gang:
    return Gang(name="gang", tasks=tuple(Task(entry="a:b", resources=Resources(cpus=count, **needs)) for count in cpus))


def make_node(*numa: tuple[int, ...], name: str = "here", memory_bytes: int = GB, cards: tuple[Device, ...] = ()) -> Node:
    cpus = [
        Device(id=f"cpu:{index}", kind="cpu", vendor="any", model="any", memory_bytes=GB, cores=cores)
        for index, cores in enumerate(numa)
    ]
    return Node(id=name, devices=(*cpus, *cards), memory_bytes=memory_bytes)


def ledger(*numa: tuple[int, ...], **more: Any) -> NodeLedger:
    return NodeLedger(make_node(*numa, **more))


def cores_of(gang: Gang, *ledgers: NodeLedger) -> list[tuple[int, ...]]:
    return [place.cores for place in reserve(gang, None, ledgers).tasks]


def release(gang: Gang, placement: Placement, book: NodeLedger) -> None:
    for task, place in zip(gang.tasks, placement.tasks, strict=True):
        book.release(place, task.resources)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), max_size=8),
)
def test_a_core_is_held_at_most_as_often_as_listed(cores: list[int], gangs: list[list[int]]) -> None:
    book = ledger(tuple(cores))
    held: list[tuple[Gang, Placement]] = []
    for cpus in gangs:
        before = book.free()
        try:
            placement = reserve(ask(*cpus), None, [book])
        except ResourcesError:
            assert book.free() == before, "a refused gang holds nothing"
            continue
        assert [len(set(place.cores)) for place in placement.tasks] == cpus
        held.append((ask(*cpus), placement))
        taken = Counter(core for _, one in held for place in one.tasks for core in place.cores)
        assert taken <= Counter(cores)
        assert book.free().num_free == len(cores) - taken.total()
    for gang, placement in held:
        release(gang, placement, book)
    assert book.free().num_free == len(cores)


def test_a_task_stays_in_one_numa_node_where_one_can_hold_it() -> None:
    assert cores_of(ask(3, 4), ledger((0, 1, 2, 3), (4, 5, 6, 7))) == [(0, 1, 2), (4, 5, 6, 7)]


def test_a_small_task_goes_to_the_fuller_node() -> None:
    assert cores_of(ask(2, 1, 4), ledger((0, 1, 2, 3), (4, 5, 6, 7))) == [(0, 1), (2,), (4, 5, 6, 7)]


def test_a_wide_task_spans_numa_nodes_where_it_must() -> None:
    assert cores_of(ask(6), ledger((0, 1, 2, 3), (4, 5, 6, 7))) == [(0, 1, 2, 3, 4, 5)]


def test_the_least_loaded_core_of_an_over_subscribed_machine_is_next() -> None:
    assert cores_of(ask(1, 1, 1), ledger((0, 0, 1))) == [(0,), (1,), (0,)]


def test_memory_is_reserved_as_asked() -> None:
    book, first = ledger((0, 1, 2, 3), memory_bytes=10 * GB), ask(1, memory_bytes=6 * GB)
    placement = reserve(first, None, [book])
    with pytest.raises(ResourcesError, match="5 GB"):
        reserve(ask(1, memory_bytes=5 * GB), None, [book])
    release(first, placement, book)
    reserve(ask(1, memory_bytes=5 * GB), None, [book])


def test_accelerators_are_handed_out_by_model_and_once() -> None:
    cards = tuple(
        Device(id=f"cuda:{i}", kind="gpu", vendor="nvidia", model=model, memory_bytes=GB)
        for i, model in enumerate(["V100", "H100"])
    )
    book, wanted = ledger((0, 1, 2, 3), cards=cards), ask(1, accelerators=1, accelerator="H100")
    placement = reserve(wanted, None, [book])
    assert placement.tasks[0].devices == ("cuda:1",)
    with pytest.raises(ResourcesError, match="1 accelerators"):
        reserve(wanted, None, [book])
    release(wanted, placement, book)
    reserve(wanted, None, [book])


def test_a_gang_spreads_over_machines_in_their_order() -> None:
    placement = reserve(ask(1, 1, 1), None, [ledger((0,), name="a"), ledger((0, 1), name="b")])
    assert [place.node for place in placement.tasks] == ["a", "b", "b"]


def test_one_mention_excludes_a_core_once() -> None:
    book = ledger((0, 0, 1))
    book.exclude((0,), "slow")
    assert book.free().num_free == 2
    book.exclude((0,), "slow")
    assert cores_of(ask(1), book) == [(1,)]
    with pytest.raises(NotFoundError, match="core 0 cannot be excluded"):
        book.exclude((0,), "slow")


def test_a_taken_core_that_is_excluded_does_not_come_back() -> None:
    book = ledger((0,))
    placement = reserve(ask(1), None, [book])
    book.exclude((0,), "slow")
    release(ask(1), placement, book)
    with pytest.raises(ResourcesError):
        reserve(ask(1), None, [book])


def test_a_placement_is_carried_out_or_refused_as_one() -> None:
    book = ledger((0, 1, 2, 3))
    wanted = Placement(tasks=(TaskPlacement(node="here", cores=(3,)), TaskPlacement(node="here", cores=(1,))))
    assert reserve(ask(1, 1), wanted, [book]) == wanted
    before = book.free()
    half = Placement(tasks=(TaskPlacement(node="here", cores=(0,)), TaskPlacement(node="here", cores=(3,))))
    with pytest.raises(ResourcesError, match="core 3 of node 'here' is not free"):
        reserve(ask(1, 1), half, [book])
    assert book.free() == before


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([("here", (0,))], "has 1 entries"),
        ([("here", (0,)), ("here", (1, 2))], r"rank 1: placed on cores \[1, 2\]"),
        ([("here", (0,)), ("here", ())], r"rank 1: placed on cores \[\]"),
    ],
)
def test_a_placement_of_another_gang_is_refused(places: list[tuple[str, tuple[int, ...]]], words: str) -> None:
    placement = Placement(tasks=tuple(TaskPlacement(node=node, cores=cores) for node, cores in places))
    with pytest.raises(UsageError, match=words):
        reserve(ask(1, 1), placement, [ledger((0, 1, 2, 3))])
