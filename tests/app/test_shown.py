"""A measured value is shown with its unit and a sensible number of digits."""

import pytest

from bedplate.app.shown import shown_value
from bedplate.core.errors import UsageError


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDPLATE_LANG", "en")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("resume_step_s", 0.0031, "3.1 ms"),
        ("peak_memory_bytes", 2_204_000_000.0, "2.20 GB"),
        ("slot_memory_bandwidth_bytes_per_s_min", 9.29e10, "92.9 GB/s"),
        ("slot_matmul_flops_bf16_min", 4.4e11, "440 GFLOP/s"),
        ("train_flops_per_token", 8.1e8, "810 MFLOP"),
        ("goodput_frac", 0.93123, "93.1 %"),
        ("kv_ttft_ratio", 2.3112, "2.31×"),
        ("kv_answers_equal", 1.0, "yes"),
        ("steps_repeated", 2.0, "2 steps"),
        ("screen_slots", 12.0, "12"),
        ("ppl_before", 16.8432, "16.84"),
        ("final_loss", 2.83412, "2.834 nats/token"),
        ("tokens_per_s", 812.345, "812 tokens/s"),
        ("serve_requests_per_s_kv_on", 0.4119, "0.412 requests/s"),
        ("peak_memory_bytes", None, "not measured"),
    ],
)
def test_a_value_has_its_unit(name: str, value: float | None, shown: str) -> None:
    assert shown_value(name, value) == shown


def test_an_id_that_is_not_registered_is_shown_in_the_unit_that_came_with_it() -> None:
    assert shown_value("text_bytes", 3.0, "bytes") == "3 B"
    assert shown_value("old_flops", 3e9, "flops") == "3.00 GFLOP/s"
    with pytest.raises(UsageError):
        shown_value("text_bytes", 3.0)


def test_values_are_shown_in_the_language_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDPLATE_LANG", "zh")
    assert shown_value("kv_answers_equal", 1.0) == "是"
    assert shown_value("peak_memory_bytes", None) == "未测得"
