"""Whatever a formula of the scorecard names is measured by some part, or its indicator says that it cannot be yet."""

import pytest

from bedplate.core.errors import UsageError
from bedplate.core.measures import measure_of
from bedplate.scorecard.catalogue import all_indicators
from bedplate.scorecard.indicator import Indicator


def unregistered(indicator: Indicator) -> set[str]:
    """Names of a formula that nothing emits (`tests/core/test_measures.py` holds registered ids to a producer)."""
    found = set()
    for name in indicator.parsed.names:
        try:
            measure_of(name)
        except UsageError:
            found.add(name)
    return found


@pytest.mark.parametrize("indicator", all_indicators(), ids=lambda indicator: indicator.id)
def test_an_available_indicator_names_only_ids_that_are_produced(indicator: Indicator) -> None:
    if indicator.collect.available:
        assert unregistered(indicator) == set()
    else:
        assert unregistered(indicator), "everything it names is measured now: drop 'available: false'"
