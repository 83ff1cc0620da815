"""Slots: what is handed out comes back, and nothing is handed out twice."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.devices import Device
from bedplate.core.errors import NotFoundError, ResourcesError
from bedplate.core.workload import Gang, Resources, Task
from bedplate.engines.slots import Slots, reserve_gang

GB = 10**9


def ask(*cpus: int, **needs: object) -> Gang:
    return Gang(name="gang", tasks=tuple(Task(entry="a:b", resources=Resources(cpus=count, **needs)) for count in cpus))  # type: ignore[arg-type]


def cores_of(gang: Gang, slots: Slots) -> list[tuple[int, ...]]:
    return [reservation.cores for _, reservation in reserve_gang(gang, [slots])]


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), max_size=8),
)
def test_a_core_is_never_held_more_often_than_it_is_listed_and_all_comes_back(cores: list[int], gangs: list[list[int]]) -> None:
    slots = Slots(cores, {}, GB)
    held = []
    for cpus in gangs:
        before = slots.num_free
        try:
            reserved = [reservation for _, reservation in reserve_gang(ask(*cpus), [slots])]
        except ResourcesError:
            assert slots.num_free == before, "a refused gang holds nothing"
            continue
        assert [len(set(reservation.cores)) for reservation in reserved] == cpus
        held += reserved
        taken = Counter(core for reservation in held for core in reservation.cores)
        assert taken <= Counter(cores)
        assert slots.num_free == len(cores) - taken.total()
    for reservation in held:
        slots.release(reservation)
    assert slots.num_free == len(cores)


def test_a_task_stays_in_one_numa_node_where_one_can_hold_it() -> None:
    slots = Slots(range(8), {core: core // 4 for core in range(8)}, GB)
    assert cores_of(ask(3, 4), slots) == [(0, 1, 2), (4, 5, 6, 7)]


def test_a_small_task_goes_to_the_fuller_node_so_that_a_large_one_still_fits() -> None:
    slots = Slots(range(8), {core: core // 4 for core in range(8)}, GB)
    assert cores_of(ask(2, 1, 4), slots) == [(0, 1), (2,), (4, 5, 6, 7)]


def test_a_wide_task_spans_numa_nodes_where_it_must() -> None:
    assert cores_of(ask(6), Slots(range(8), {core: core // 4 for core in range(8)}, GB)) == [(0, 1, 2, 3, 4, 5)]


def test_the_least_loaded_core_of_an_over_subscribed_machine_is_next() -> None:
    assert cores_of(ask(1, 1, 1), Slots([0, 0, 1], {}, GB)) == [(0,), (1,), (0,)]


def test_memory_is_reserved_as_asked() -> None:
    slots = Slots(range(4), {}, 10 * GB)
    ((_, first),) = reserve_gang(ask(1, memory_bytes=6 * GB), [slots])
    with pytest.raises(ResourcesError, match="5 GB"):
        reserve_gang(ask(1, memory_bytes=5 * GB), [slots])
    slots.release(first)
    reserve_gang(ask(1, memory_bytes=5 * GB), [slots])


def test_accelerators_are_handed_out_by_model_and_once() -> None:
    cards = [
        Device(id=f"cuda:{i}", kind="gpu", vendor="nvidia", model=model, memory_bytes=GB)
        for i, model in enumerate(["V100", "H100"])
    ]
    slots = Slots(range(4), {}, GB, cards)
    ((_, held),) = reserve_gang(ask(1, accelerators=1, accelerator="H100"), [slots])
    assert [device.id for device in held.devices] == ["cuda:1"]
    with pytest.raises(ResourcesError, match="1 accelerators"):
        reserve_gang(ask(1, accelerators=1, accelerator="H100"), [slots])
    slots.release(held)
    reserve_gang(ask(1, accelerators=1, accelerator="H100"), [slots])


def test_a_gang_spreads_over_machines_in_their_order() -> None:
    machines = [Slots([0], {}, GB), Slots([0, 1], {}, GB)]
    assert [index for index, _ in reserve_gang(ask(1, 1, 1), machines)] == [0, 1, 1]


def test_one_mention_excludes_one_slot() -> None:
    slots = Slots([0, 0, 1], {}, GB)
    slots.exclude([0])
    assert slots.num_free == 2
    slots.exclude([0])
    assert cores_of(ask(1), slots) == [(1,)]
    with pytest.raises(NotFoundError, match="core 0 has no slot to exclude"):
        slots.exclude([0])


def test_a_taken_slot_that_is_excluded_does_not_come_back() -> None:
    slots = Slots([0], {}, GB)
    ((_, held),) = reserve_gang(ask(1), [slots])
    slots.exclude([0])
    slots.release(held)
    with pytest.raises(ResourcesError):
        reserve_gang(ask(1), [slots])
