"""Two rounds of pairs tell a bad slot from a bad partner and from a bad link."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.operations.preflight.verdicts import Pair, PairVerdicts, SlotVerdict, Wave, first_round, second_round, verdicts

GOOD, BAD, UNKNOWN = SlotVerdict.GOOD, SlotVerdict.BAD, SlotVerdict.UNKNOWN


def screen(num_slots: int, bad_slots: frozenset[int], bad_links: frozenset[Pair] = frozenset()) -> PairVerdicts:
    """Both rounds on a machine with these faults."""

    def passes(pair: Pair) -> bool:
        return not bad_slots & set(pair) and pair not in bad_links

    slots = range(num_slots)
    results = {pair: passes(pair) for wave in first_round(slots) for pair in wave}
    results |= {pair: passes(pair) for wave in second_round(slots, results) for pair in wave}
    return verdicts(slots, results)


def slots_of(waves: tuple[Wave, ...]) -> set[int]:
    return {slot for wave in waves for pair in wave for slot in pair}


def every_set_of_bad_slots(num_slots: int) -> list[frozenset[int]]:
    return [frozenset(chosen) for size in range(num_slots + 1) for chosen in itertools.combinations(range(num_slots), size)]


@pytest.mark.parametrize("num_slots", range(2, 9))
def test_a_slot_is_never_called_what_it_is_not(num_slots: int) -> None:
    for bad_slots in every_set_of_bad_slots(num_slots):
        found = screen(num_slots, bad_slots)
        for slot, verdict in found.slots.items():
            assert verdict in ((BAD, UNKNOWN) if slot in bad_slots else (GOOD, UNKNOWN)), (bad_slots, found)
        assert found.bad_links == ()


@pytest.mark.parametrize("num_slots", range(3, 9))
def test_one_bad_slot_is_named_and_all_others_are_cleared(num_slots: int) -> None:
    for bad in range(num_slots):
        expected = {slot: BAD if slot == bad else GOOD for slot in range(num_slots)}
        assert screen(num_slots, frozenset({bad})).slots == expected


@pytest.mark.parametrize("num_slots", range(3, 9))
def test_once_one_pair_passed_in_the_first_round_nothing_stays_unknown(num_slots: int) -> None:
    for bad_slots in every_set_of_bad_slots(num_slots):
        if any(not bad_slots & set(pair) for wave in first_round(range(num_slots)) for pair in wave):
            assert UNKNOWN not in screen(num_slots, bad_slots).slots.values(), bad_slots


@pytest.mark.parametrize("num_slots", range(3, 9))
def test_one_bad_link_is_named_and_blames_no_slot(num_slots: int) -> None:
    tried = {pair for wave in first_round(range(num_slots)) for pair in wave}
    for link in tried:
        found = screen(num_slots, frozenset(), frozenset({link}))
        assert set(found.slots.values()) == {GOOD}
        assert found.bad_links == (link,)


def test_two_slots_that_fail_with_each_other_cannot_be_told_apart() -> None:
    assert screen(2, frozenset({1})).slots == {0: UNKNOWN, 1: UNKNOWN}


def test_a_slot_without_any_partner_is_unknown() -> None:
    assert first_round([4]) == ()
    assert second_round([4], {}) == ()
    assert verdicts([4], {}).slots == {4: UNKNOWN}


@given(st.data(), st.integers(2, 40))
def test_waves_pair_each_slot_once_and_partners_never_repeat(data: st.DataObject, num_slots: int) -> None:
    slots = data.draw(st.permutations(range(num_slots)))
    first = first_round(slots)
    results = {pair: data.draw(st.booleans()) for wave in first for pair in wave}
    second = second_round(slots, results)
    for wave in (*first, *second):
        met = [slot for pair in wave for slot in pair]
        assert len(met) == len(set(met))
    pairs = [pair for wave in (*first, *second) for pair in wave]
    assert len(pairs) == len(set(pairs))
    assert all(a < b for a, b in pairs)
    assert slots_of(first) == set(slots)


@pytest.mark.parametrize("num_slots", range(4, 40))
def test_everybody_meets_a_second_partner_when_all_went_well(num_slots: int) -> None:
    first = first_round(range(num_slots))
    second = second_round(range(num_slots), {pair: True for wave in first for pair in wave})
    assert slots_of(second) == set(range(num_slots))


@given(st.integers(5, 40), st.data())
def test_with_bad_links_too_a_good_verdict_is_always_true(num_slots: int, data: st.DataObject) -> None:
    slot = st.integers(0, num_slots - 1)
    bad_slots = data.draw(st.frozensets(slot, max_size=3))
    bad_links = data.draw(st.frozensets(st.tuples(slot, slot).filter(lambda pair: pair[0] < pair[1]), max_size=3))
    found = screen(num_slots, bad_slots, bad_links)
    assert not any(found.slots[bad] is GOOD for bad in bad_slots)
    assert set(found.bad_links) <= bad_links
