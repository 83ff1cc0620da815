"""`bedplate plan FILE`: what a pipeline would do, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bedplate.cli.terminal.output import output_option, print_json
from bedplate.cli.terminal.state_option import engine_option, state_option, use_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bedplate.app.pipeline.run.planning import Plan, PlannedStep


@click.command("plan")
@click.argument("file", type=click.Path())
@click.option("--submit", is_flag=True, help="Ask the service what would become of it there: start, wait, and why.")
@engine_option
@state_option
@use_option
@output_option
def command(file: str, submit: bool, engine: str, state: str | None, use: dict[str, str], output: str) -> None:
    """Show what 'bedplate run FILE' would do: order, settings with defaults, devices, what is done. Writes nothing.

    \b
    Example:
      bedplate plan examples/lifecycle.yaml
    """
    if submit:
        from bedplate.cli.submit import show_forecast
        from bedplate.cli.terminal.service_option import connected, refuse_given

        refuse_given("engine", why="the service runs it, where 'bedplate up' was told to")
        show_forecast(connected(None, state).forecast(file, uses=use), output)
        return
    from bedplate.app.api import plan

    planned = plan(file, engine=engine, state=state, uses=use)
    if output == "json":
        print_json(planned.as_json())
        return
    for line in _lines(planned):
        click.echo(line)


def _lines(plan: Plan) -> Iterator[str]:
    from bedplate.core.units import format_bytes

    yield f"{plan.name}: {_what_would_happen(plan)} on the engine '{plan.engine}'"
    for node in plan.nodes:
        for device in node.devices:
            cores = f", {len(device.cores)} cores" if device.kind == "cpu" else ""
            yield f"  {node.id} {device.id}: {device.model}{cores}, {format_bytes(device.memory_bytes)}"
    for number, step in enumerate(plan.steps, 1):
        yield ""
        yield from _step_lines(number, step)


def _what_would_happen(plan: Plan) -> str:
    if plan.run_id is None:
        return "would start a new run"
    if all(step.is_done for step in plan.steps):
        return f"nothing to do, run {plan.run_id} is done; --new would start a new one"
    return f"would resume run {plan.run_id}"


def _step_lines(number: int, step: PlannedStep) -> Iterator[str]:
    after = f", after {', '.join(step.after)}" if step.after else ""
    yield f"{number}. {step.name} ({step.use}{after}){': already done, would be skipped' if step.is_done else ''}"
    for name, value in step.written.items():
        yield f"     {name}: {value}".rstrip()
    for line in step.lines:
        yield f"   - {line}"
