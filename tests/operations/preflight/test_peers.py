"""A slot is judged by its own kind, with a floor under them all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.operations.preflight.peers import PeerFinding, other_work_explains, slow_slots


def suspects(rates: list[float], slow_share: float = 0.4, floor: float = 0.0) -> list[int]:
    return [finding.slot for finding in slow_slots(dict(enumerate(rates)), slow_share, floor)]


def test_a_slot_far_behind_its_peers_is_suspect() -> None:
    (finding,) = slow_slots({0: 100.0, 1: 97.0, 2: 20.0}, slow_share=0.4)
    assert (finding.slot, finding.rate, finding.reference) == (2, 20.0, 97.0)
    assert 20.0 < finding.limit < 97.0


def test_of_two_slots_the_slow_one_is_suspect() -> None:
    assert suspects([20.0, 100.0]) == [0]


def test_half_of_the_slots_slow_does_not_hide_them() -> None:
    assert suspects([100.0, 100.0, 20.0, 20.0]) == [2, 3]


def test_a_fast_one_makes_no_slow_ones() -> None:
    assert suspects([100.0, 100.0, 101.0, 300.0]) == []


def test_what_is_less_than_the_stated_share_behind_is_no_suspect() -> None:
    assert suspects([100.0, 100.0, 100.0, 61.0]) == []


def test_wide_spread_excuses_slow_slots_but_not_hopeless_ones() -> None:
    assert suspects([100.0, 80.0, 120.0, 60.0, 140.0, 55.0]) == []
    assert suspects([100.0, 80.0, 120.0, 60.0, 140.0, 10.0]) == [5]


def test_all_slow_alike_is_seen_by_the_floor_alone() -> None:
    assert suspects([1.0, 1.0, 1.0]) == []
    assert suspects([1.0, 1.0, 1.0], floor=5.0) == [0, 1, 2]
    assert slow_slots({0: 1.0}, 0.4, floor=5.0)[0].reference is None


def test_nothing_measured_is_nobody_suspect() -> None:
    assert slow_slots({}, 0.4) == ()


@given(st.lists(st.floats(1.0, 1e12), min_size=1, max_size=20), st.floats(0.01, 0.99))
def test_the_fastest_slot_is_never_suspect(rates: list[float], share: float) -> None:
    assert rates.index(max(rates)) not in suspects(rates, share)


@pytest.mark.parametrize(
    ("rate", "busy_frac", "num_cores", "expected"),
    [(31.0, 0.7, 1, True), (29.0, 0.7, 1, False), (6.0, 0.5, 1, False), (6.0, 0.25, 2, True)],
)
def test_other_work_explains_the_share_it_took(rate: float, busy_frac: float, num_cores: int, expected: bool) -> None:
    finding = PeerFinding(slot=0, rate=rate, limit=100.0, reference=200.0)
    assert other_work_explains(finding, busy_frac, num_cores) is expected
