"""`bedplate train FILE`: one training run, stored and resumed like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bedplate.app.toolchain.train.run_file import TrainSettings
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options
from bedplate.cli.terminal.state_option import engine_option, state_option

if TYPE_CHECKING:
    from bedplate.app.pipeline.run.outcome import RunOutcome


@click.command("train")
@click.argument("file", type=click.Path())
@click.option("--new", is_flag=True, help="Train again even if a run of the same file and inputs is finished.")
@settings_options(TrainSettings, is_overlay=True)
@engine_option
@state_option
@output_option
def command(file: str, new: bool, settings: dict[str, Any], engine: str, state: str | None, output: str) -> None:
    """Train a model from FILE; rerun the same command to resume.

    FILE has the settings of a pipeline's `train` step at its top, and `needs` where one worker is not enough. An option
    overrides the same key in FILE.

    \b
      model: path/to/model        # a Hugging Face folder
      data: path/to/shards        # as a `data.text` step makes them
      tokens: 40k
      precision: bf16
      checkpoint: {every: 2 steps, in: memory}
      needs: {workers: {want: 2, min: 1}}

    \b
    Examples:
      bedplate train train.yaml
      bedplate train train.yaml --tokens 1M --learning-rate 1e-4
    """
    from bedplate.app.toolchain.train.run_file import train_file
    from bedplate.cli.terminal.watching import open_watcher

    watcher = open_watcher(explain=False)
    try:
        outcome = train_file(file, new=new, overlay=settings, engine=engine, state=state, watcher=watcher)
    finally:
        watcher.close()
    if outcome.error is not None:
        raise outcome.error
    facts = summary(outcome)
    if output == "json":
        print_json(facts)
    else:
        _print(facts)


def summary(outcome: RunOutcome) -> dict[str, Any]:
    """The document of `train -o json`."""
    from bedplate.app.toolchain.train.run_file import training_facts

    return {"run_id": outcome.run_id, "status": outcome.status.value, **training_facts(outcome)}


_FIGURES = {
    "tokens_per_s": "tokens_per_s",
    "final_loss": "final_loss",
    "goodput_frac": "goodput_frac",
    "perplexity_before": "ppl_before",
    "perplexity_after": "ppl_after",
    "steps_skipped": "steps_repeated",
}
"""What is shown of a training, and the measurement whose unit it has."""
_FAILURES = ("kind", "rank", "step", "detected after", "computing after", "first step after", "steps repeated")


def _print(facts: dict[str, Any]) -> None:
    from bedplate.app.shown import shown_value

    rows = [(word, shown_value(name, facts[word])) for word, name in _FIGURES.items() if facts.get(word) is not None]
    print_table(("figure", "value"), rows)
    if facts["failures"]:
        print_table(_FAILURES, [_failure(item) for item in facts["failures"]], title="failures")
    note(f"model: {facts['path']}")


def _failure(item: dict[str, Any]) -> list[object]:
    from bedplate.core.units import format_duration

    times = [item[column] for column in ("detect_s", "resume_forward_s", "resume_step_s")]
    shown = [None if time_s is None else format_duration(time_s) for time_s in times]
    return [item["kind"], item["rank"], item["step"], *shown, item["steps_repeated"]]
