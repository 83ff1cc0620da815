import pytest

from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard.format import format_value


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.253, "frac", "25.3 %"),
        (-0.01, "frac", "-1 %"),
        (2.314, "ratio", "2.31×"),
        (0.21, "s", "210 ms"),
        (-0.5, "s", "-500 ms"),
        (1.5e9, "bytes", "1.50 GB"),
        (2.5e9, "bytes/s", "2.50 GB/s"),
        (4.1e10, "flops", "41.0 GFLOP/s"),
        (2, "steps", "2"),
        (451.26, "tokens/s", "451 tokens/s"),
        (12_345_678, "iops", "12.3M iops"),
    ],
)
def test_values_are_shown_with_three_digits_and_their_unit(value: float, unit: str, shown: str) -> None:
    assert str(format_value(value, unit)) == shown


def test_yes_and_no_are_words_of_the_language() -> None:
    assert (str(format_value(1, "bool")), in_language(format_value(0, "bool"), Language.CHINESE)) == ("yes", "否")
