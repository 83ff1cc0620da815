from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bedplate.core.measurement import Measurement, Provenance
from bedplate.scorecard.grade import POINTS, Cap, Grade, Level, grade, grade_all
from bedplate.scorecard.indicator import Indicator, Part
from bedplate.scorecard.measure import latest_by_id, measure
from tests.scorecard.values import indicator, measured


def graded(asked: Indicator, *measurements: Measurement) -> Grade:
    return grade(asked, measure(asked, latest_by_id(measurements)))


@pytest.mark.parametrize(
    ("value", "level"),
    [(0.1, Level.BELOW_BASE), (0.2, Level.BASE), (0.49, Level.BASE), (0.5, Level.GOOD), (0.8, Level.LEAD), (7.0, Level.LEAD)],
)
def test_a_level_is_the_highest_threshold_that_is_reached(value: float, level: Level) -> None:
    assert graded(indicator(), measured("speed", value)).level is level


@pytest.mark.parametrize(("value", "level"), [(11, Level.BELOW_BASE), (10, Level.BASE), (5, Level.GOOD), (0.5, Level.LEAD)])
def test_where_lower_is_better_the_thresholds_are_ceilings(value: float, level: Level) -> None:
    assert graded(indicator(levels=(10, 5, 1), higher=False), measured("speed", value)).level is level


@pytest.mark.parametrize("provenance", [Provenance.EMULATED, Provenance.SIMULATED, Provenance.REPLAYED])
def test_what_was_not_measured_stops_at_base(provenance: Provenance) -> None:
    found = graded(indicator(), measured("speed", 0.9, provenance))
    assert (found.level, found.uncapped, found.cap) == (Level.BASE, Level.LEAD, Cap.PROVENANCE)


def test_a_cap_never_raises_a_level() -> None:
    found = graded(indicator(), measured("speed", 0.1, Provenance.SIMULATED))
    assert (found.level, found.cap) == (Level.BELOW_BASE, None)


def test_a_published_value_is_shown_and_never_scores() -> None:
    found = graded(indicator(), measured("speed", 0.9, Provenance.PUBLISHED))
    assert (found.level, found.points, found.measured.value) == (Level.UNGRADED, None, 0.9)
    assert grade_all([indicator()], [measured("speed", 0.9, Provenance.PUBLISHED)]).coverage_frac == 0


@pytest.mark.parametrize(("num_nodes", "level"), [(1, Level.BASE), (3, Level.BASE), (4, Level.LEAD)])
def test_a_measurement_below_the_claimed_scale_stops_at_base(num_nodes: int, level: Level) -> None:
    text = "1,024 nodes, for people"
    assert graded(indicator(claimed_nodes=4), measured("speed", 0.9, num_nodes=num_nodes, scale=text)).level is level


def test_a_disturbed_measurement_stops_at_base_and_is_marked() -> None:
    found = graded(indicator(formula="a / b"), measured("a", 9.0, busy_frac=0.4), measured("b", 10.0, busy_frac=0.0))
    assert (found.level, found.uncapped, found.cap, found.measured.is_disturbed) == (
        Level.BASE,
        Level.LEAD,
        Cap.DISTURBANCE,
        True,
    )


def test_a_value_is_worth_what_its_weakest_input_is_worth() -> None:
    found = graded(indicator(formula="a / b"), measured("a", 9.0), measured("b", 10.0, Provenance.SIMULATED))
    assert (found.measured.provenance, found.level) == (Provenance.SIMULATED, Level.BASE)


def test_a_missing_input_is_named_and_nothing_is_invented() -> None:
    found = graded(indicator(formula="a / b"), measured("a", 9.0), measured("b", None))
    assert (found.level, found.measured.value, found.measured.missing) == (Level.MISSING, None, ("b",))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_missing(value: float) -> None:
    assert graded(indicator(), measured("speed", value)).level is Level.MISSING


def test_the_last_measurement_with_a_value_counts() -> None:
    assert latest_by_id([measured("a", 1.0), measured("a", 2.0), measured("a", None)])["a"].value == 2.0


def test_scores_are_weighted_means_and_gaps_lower_only_coverage() -> None:
    asked = [
        indicator("a", weight=3.0),
        indicator("b"),
        indicator("c", weight=2.0, part=Part.NETWORK),
        indicator("d", weight=4.0),
    ]
    card = grade_all(asked, [measured("a", 0.9), measured("b", 0.1), measured("c", 0.5)])
    scores = {part.part: part.score_frac for part in card.parts}
    assert scores[Part.COMPUTE] == pytest.approx(0.75)
    assert scores[Part.NETWORK] == pytest.approx(2 / 3)
    assert scores[Part.STORAGE] is None
    assert card.score_frac == pytest.approx((3 + 0 + 2 * 2 / 3) / 6)
    assert card.coverage_frac == pytest.approx(0.6)


def test_nothing_measured_is_no_score_instead_of_a_zero() -> None:
    card = grade_all([indicator()], [])
    assert (card.score_frac, card.coverage_frac) == (None, 0.0)


@given(some.floats(-2, 2), some.floats(-2, 2), some.booleans())
def test_a_better_value_is_never_graded_lower(one: float, other: float, higher: bool) -> None:
    asked = indicator(levels=(0.2, 0.5, 0.8) if higher else (0.8, 0.5, 0.2), higher=higher)
    worse, better = sorted((one, other), reverse=not higher)
    assert POINTS[graded(asked, measured("speed", worse)).level] <= POINTS[graded(asked, measured("speed", better)).level]


def test_a_gate_is_passed_or_not() -> None:
    gate = replace(indicator(role="gate", levels=(1, 1, 1)), unit="bool")
    assert graded(gate, measured("speed", 1.0)).level is Level.LEAD
    assert graded(gate, measured("speed", 0.0)).level is Level.BELOW_BASE
