"""`bedplate compute forecast`: a demand series forecast over its last days, beside the naive forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bedplate.app.compute.forecast import Settings
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options

if TYPE_CHECKING:
    from bedplate.app.compute.forecast import ForecastResult


@click.command("forecast")
@settings_options(Settings)
@output_option
def forecast(settings: dict[str, Any], output: str) -> None:
    """Forecast a demand series over its last days, as if they came one by one, beside the naive forecasts.

    MASE is the mean absolute error over that of yesterday's value in the training part, for ours and the naive ones alike;
    intervals are the quantiles 0.1 and 0.9. A model is shipped only where it beat every naive forecast in the back-test.

    \b
    Examples:
      bedplate compute forecast --series demand.csv --column gpus --horizon 3h --test-days 7
      bedplate compute forecast --series a.csv.gz --series b.csv.gz --column running+pending --horizon 1h,24h -o json
    """
    from bedplate.app.compute.forecast import forecast as answer
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.settings import read_settings

    result = answer(read_settings(Settings, settings), TerminalReporter())
    for series in result.series:
        for text in series.notes:
            note(f"{series.name}: {text}")
    if output == "json":
        print_json(result.as_json())
    else:
        _print_forecast(result)


def _print_forecast(result: ForecastResult) -> None:
    from bedplate.core.units import format_duration

    rows = [
        (
            series.name,
            format_duration(item.horizon_s),
            item.choice.model,
            _figure(item.mase),
            *(_figure(item.naive_mase[name]) for name in ("persistence", "day", "week")),
            _figure(item.pinball),
            "" if item.coverage_80_frac is None else _percent(item.coverage_80_frac),
        )
        for series in result.series
        for item in series.horizons
    ]
    headings = ("series", "horizon", "model", "MASE", "persistence", "day", "week", "pinball", "80 % covers")
    print_table(headings, rows, title="last days of the trace, replayed")


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"
