import pytest

from bedplate.core.measurement import Measurement, Provenance
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard.assess import assess
from bedplate.scorecard.whatif import WhatIf, effective_training_frac
from tests.scorecard.values import indicator, measured


def answers(*measurements: Measurement) -> dict[str, WhatIf]:
    return {answer.id: answer for answer in assess(measurements).what_if}


def test_effective_training_time_is_the_first_order_closed_form() -> None:
    frac = effective_training_frac(recovery_s=300, interval_s=1800, mean_time_between_failures_s=12_000)
    assert frac == pytest.approx(1 - (300 + 900) / 12_000)


def test_effective_training_time_is_never_negative() -> None:
    assert effective_training_frac(recovery_s=9000, interval_s=60, mean_time_between_failures_s=100) == 0


def test_planned_paths_compare_the_two_worst_flows_of_the_run() -> None:
    pair = answers(measured("network_ecmp_worst_flow_frac", 0.25), measured("network_planned_worst_flow_frac", 1.0))
    assert (pair["planned_paths"].before, pair["planned_paths"].after) == (0.25, 1.0)
    assert "4 times" in str(pair["planned_paths"].change)


def test_half_a_pair_answers_nothing() -> None:
    assert "planned_paths" not in answers(measured("network_planned_worst_flow_frac", 1.0))


def test_shorter_intervals_and_quick_detection_raise_effective_time() -> None:
    found = answers(measured("resume_step_s", 18.0), measured("kill_detect_s", 0.2))
    assert 0.9 < found["checkpoint_interval"].before < 0.93 and found["checkpoint_interval"].after > 0.99
    assert found["detection"].before < found["detection"].after == found["checkpoint_interval"].after


def test_the_answer_about_the_limiting_indicator_comes_first() -> None:
    found = assess([measured("kv_throughput_ratio", 1.2), measured("resume_step_s", 18.0), measured("kill_detect_s", 0.2)])
    assert found.limiting.grade is not None and found.limiting.grade.indicator.id == "kv_throughput_gain_frac"
    assert [answer.id for answer in found.what_if[:2]] == ["limiting_becomes_good", "kv_memory_servers"]


def test_every_answer_says_that_it_is_computed_and_from_what() -> None:
    found = answers(measured("resume_step_s", 18.0), measured("kill_detect_s", 0.2), measured("kv_throughput_ratio", 2.0))
    assert len(found) >= 3
    for answer in found.values():
        assert answer.provenance is Provenance.SIMULATED and answer.source
        assert answer.as_json(Language.CHINESE)["change"] == in_language(answer.change, Language.CHINESE)


def test_nothing_measured_has_no_answers_and_no_limit() -> None:
    found = assess([], [indicator()])
    assert found.what_if == () and found.limiting.grade is None
