from pathlib import Path

import pytest

from bedplate.core.errors import ConfigurationError
from bedplate.core.text import text_of
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard.catalogue import all_indicators, read_indicators
from bedplate.scorecard.indicator import Basis, Direction, Indicator, Part, Threshold

VALID = """\
indicators:
  - id: speed
    part: compute
    name: Speed
    question: "How fast?"
    formula: a / b
    unit: frac
    direction: higher
    collect: {command: bedplate doctor}
    thresholds:
      base: {value: 0.1, source: a test, basis: project}
      good: {value: 0.5, source: another test, basis: project}
      lead: {value: 0.9, source: a test, basis: literature}
    advice: Faster.
"""


def read(tmp_path: Path, text: str) -> tuple[Indicator, ...]:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    return read_indicators(file)


def thresholds(indicator: Indicator) -> tuple[Threshold, Threshold, Threshold]:
    return indicator.thresholds.base, indicator.thresholds.good, indicator.thresholds.lead


def test_there_are_indicators_for_each_of_the_five_parts() -> None:
    assert {indicator.part for indicator in all_indicators()} == set(Part)
    assert 20 <= len(all_indicators()) <= 30


def test_every_indicator_is_in_its_parts_file_in_both_languages() -> None:
    for indicator in all_indicators():
        for words in (indicator.name, indicator.question, indicator.advice):
            chinese = in_language(text_of(words), Language.CHINESE)
            assert words.isascii()
            assert any("\u4e00" <= character <= "\u9fff" for character in chinese)


@pytest.mark.parametrize("indicator", all_indicators(), ids=lambda indicator: indicator.id)
def test_thresholds_get_stricter_in_the_direction(indicator: Indicator) -> None:
    values = [threshold.value for threshold in thresholds(indicator)]
    assert values == sorted(values, reverse=indicator.direction is Direction.LOWER)
    assert all(threshold.source for threshold in thresholds(indicator))


def test_only_what_the_report_says_is_marked_as_the_report() -> None:
    marked = {
        (indicator.id, threshold.value)
        for indicator in all_indicators()
        for threshold in thresholds(indicator)
        if threshold.basis is Basis.REPORT
    }
    assert marked == {
        ("kv_throughput_gain_frac", 0.5),
        ("direct_read_bytes_per_s", 1e12),
        ("direct_read_iops", 1e8),
        ("direct_rack_unit_bytes_per_s", 5e10),
        ("flow_link_utilisation_frac", 0.9),
        ("packet_link_utilisation_frac", 0.9),
    }


def test_the_ids_of_the_main_job_are_all_asked_for() -> None:
    asked = {name for indicator in all_indicators() for name in indicator.parsed.names}
    assert asked >= {"kill_detect_s", "resume_step_s", "steps_repeated", "kv_throughput_ratio", "kv_ttft_ratio"}
    assert asked >= {"kv_answers_equal", "ppl_before", "ppl_after", "goodput_frac"}


def test_a_file_of_the_user_is_read(tmp_path: Path) -> None:
    (indicator,) = read(tmp_path, VALID)
    assert indicator.parsed.names == ("a", "b") and indicator.thresholds.good.source == "another test"


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("formlua: a / b", "formula: a / b", "own.yaml:6: unknown key 'formlua'"),
        ("direction: up", "direction: higher", "own.yaml:8: 'indicators.0.direction' must be one of"),
        ("name: {en: Speed}", "name: Speed", "own.yaml:4"),
        ("formula: open(a)", "formula: a / b", "own.yaml:2: the formula contains more than arithmetic"),
        ("base: {value: 0.7, source", "base: {value: 0.1, source", "own.yaml:2: the thresholds of 'speed'"),
        (
            "lead: {value: 0.9, source: a test, basis: rumour}",
            "lead: {value: 0.9, source: a test, basis: literature}",
            "own.yaml:13",
        ),
        ("unit: [frac", "unit: frac", "own.yaml:8: not YAML"),
        ("unit: frac\n    unit: s", "unit: frac", "own.yaml:8: 'unit' is given twice"),
        ("<<: {unit: frac}", "unit: frac", "own.yaml:7: merge keys"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, wrong: str, right: str, said: str) -> None:
    assert right in VALID
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, VALID.replace(right, wrong))
    assert said in str(raised.value)
