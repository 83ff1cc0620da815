import pytest

from bedplate.core.measurement import Provenance
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard.grade import grade_all
from bedplate.scorecard.limiting import find_limiting, held_back_by_evidence
from tests.scorecard.values import indicator, measured


def test_it_is_the_one_whose_rise_to_good_lifts_the_score_most() -> None:
    asked = [indicator("light"), indicator("heavy", weight=3.0), indicator("fine", weight=5.0)]
    card = grade_all(asked, [measured("light", 0.1), measured("heavy", 0.3), measured("fine", 0.9)])
    found = find_limiting(card)
    assert found.grade is not None and found.grade.indicator.id == "heavy"  # 3 * 1/3 beats 1 * 2/3


def test_the_promised_score_is_what_grading_gives_once_it_is_good() -> None:
    asked = [indicator("a", weight=2.0), indicator("b")]
    before = grade_all(asked, [measured("a", 0.1), measured("b", 0.9)])
    after = grade_all(asked, [measured("a", 0.5), measured("b", 0.9)])
    assert find_limiting(before).score_after_frac == pytest.approx(after.score_frac)


def test_a_tie_goes_to_the_lower_level() -> None:
    asked = [indicator("base", weight=2.0), indicator("below", weight=1.0)]
    found = find_limiting(grade_all(asked, [measured("base", 0.3), measured("below", 0.1)]))
    assert found.grade is not None and found.grade.indicator.id == "below"


def test_indicators_that_lack_evidence_are_listed_apart() -> None:
    card = grade_all(
        [indicator("a", weight=5.0), indicator("b")], [measured("a", 0.9, Provenance.SIMULATED), measured("b", 0.3)]
    )
    found = find_limiting(card)
    assert found.grade is not None and found.grade.indicator.id == "b"
    assert [grade.indicator.id for grade in held_back_by_evidence(card)] == ["a"]


def test_missing_indicators_never_limit() -> None:
    assert find_limiting(grade_all([indicator("a", weight=5.0), indicator("b")], [measured("b", 0.9)])).grade is None


def test_the_reason_gives_value_goal_and_gain_in_both_languages() -> None:
    why = find_limiting(grade_all([indicator("speed")], [measured("speed", 0.3)])).why
    for words in (in_language(why, language) for language in Language):
        assert all(number in words for number in ("30 %", "50 %", "33", "67"))


def test_a_disturbed_value_asks_for_a_machine_that_runs_nothing_else() -> None:
    disturbed = find_limiting(grade_all([indicator("speed")], [measured("speed", 0.3, busy_frac=0.5)])).why
    assert str(disturbed).endswith("on real hardware that runs nothing else.")
    large = find_limiting(grade_all([indicator("speed", claimed_nodes=4)], [measured("speed", 0.3)])).why
    assert str(large).endswith("on 4 nodes or more.")


def test_why_says_so_where_better_evidence_is_needed_too() -> None:
    simulated = find_limiting(grade_all([indicator("speed")], [measured("speed", 0.3, Provenance.SIMULATED)])).why
    assert "real hardware" in str(simulated) and "真实硬件" in in_language(simulated, Language.CHINESE)
