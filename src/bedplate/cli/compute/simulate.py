"""`bedplate compute simulate`: scheduling policies on jobs with durations, placement policies on pods that never leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bedplate.app.compute.simulate import DEFAULT_POLICY
from bedplate.app.compute.simulate import Settings as PackingSettings
from bedplate.app.compute.simulate_jobs import Settings as JobsSettings
from bedplate.app.compute.simulate_serving import Settings as ServingSettings
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options

if TYPE_CHECKING:
    from bedplate.app.compute.simulate import PackingResult
    from bedplate.app.compute.simulate_jobs import JobsResult
    from bedplate.app.compute.simulate_serving import ServingResult


@click.command("simulate")
@settings_options(JobsSettings, PackingSettings, ServingSettings)
@output_option
def simulate(settings: dict[str, Any], output: str) -> None:
    """Simulate a cluster under scheduling policies: jobs with durations, a service beside them, or pods that never leave.

    With --jobs or --generate, jobs arrive, wait, run and end in virtual time under the scheduler of the live service, once for
    each --policy, side by side. Nodes are a CSV file or words: --cluster 100x8:A100.

    With --serving-load, a service stands beside the jobs, and its replicas follow a recorded load, once for each --capacity.
    Elastic jobs shrink for it and grow after it. The last --serving-days are simulated.

    With --pods, the pods of a CSV file as in Alibaba's cluster-trace-gpu-v2023 are shuffled, brought to --tune times the
    capacity and packed one by one; one that fits nowhere is skipped. Allocation is that of the devices when the demand that
    arrived equals their capacity. No policy exceeds the bound, which knows every arrival and may divide requests. Here,
    --policy is a placement policy.

    \b
    Examples:
      bedplate compute simulate --generate jobs=2000 --cluster 20x8:A100,10x4:V100 --report report.html
      bedplate compute simulate --jobs cluster_log.csv --cluster 133x8:V100 --policy fifo --policy fair/fgd
      bedplate compute simulate --generate jobs=500 --cluster 12x8:A100 --serving-load load.csv --serving-column gpus
      bedplate compute simulate --nodes nodes.csv --pods pods.csv --policy fgd --seeds 42:45 -o json
    """
    if "pods" in settings:
        _simulate_packing(settings, output)
    elif "serving" in settings or "capacity" in settings:
        _simulate_serving(settings, output)
    else:
        _simulate_jobs(settings, output)


def _simulate_packing(settings: dict[str, Any], output: str) -> None:
    from bedplate.app.compute.simulate import simulate as answer
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.errors import UsageError
    from bedplate.core.settings import read_settings

    policies = settings.get("policy", [DEFAULT_POLICY])
    if len(policies) > 1:
        raise UsageError("pods are packed by one policy", seen=", ".join(policies), expected="--policy once")
    result = answer(read_settings(PackingSettings, {**settings, "policy": policies[0]}), TerminalReporter())
    if output == "json":
        print_json(result.as_json())
    else:
        _print_packing(result)


def _simulate_jobs(settings: dict[str, Any], output: str) -> None:
    from bedplate.app.compute.simulate_jobs import simulate_jobs
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.settings import read_settings

    question = read_settings(JobsSettings, settings)
    result = simulate_jobs(question, TerminalReporter())
    if output == "json":
        print_json(result.as_json())
    else:
        _print_jobs(result)
    for written in filter(None, (question.report, question.trace, question.save_jobs)):
        note(f"written: {written}")


def _simulate_serving(settings: dict[str, Any], output: str) -> None:
    from bedplate.app.compute.simulate_serving import simulate_serving
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.settings import read_settings

    about_serving = {key: settings.pop(key) for key in ("serving", "capacity") if key in settings}
    question = read_settings(ServingSettings, about_serving)
    result = simulate_serving(question, read_settings(JobsSettings, {"policy": ["default"], **settings}), TerminalReporter())
    if output == "json":
        print_json(result.as_json())
    else:
        _print_serving(result)


def _print_packing(result: PackingResult) -> None:
    from bedplate.core.units import format_duration

    rows = [
        (
            run.seed,
            _percent(run.allocation_frac),
            _percent(run.bound_frac),
            run.num_arrived,
            run.num_skipped,
            format_duration(run.seconds),
        )
        for run in result.runs
    ]
    title = f"{result.num_devices} devices, policy '{result.runs[0].policy}', simulated"
    print_table(["seed", "allocated", "bound", "arrived", "skipped", "time"], rows, title=title)
    note(f"mean allocation {_percent(result.mean_allocation_frac)}")


def _print_jobs(result: JobsResult) -> None:
    from bedplate.core.units import format_duration

    def time_of(seconds: float | None) -> str:
        return "" if seconds is None else format_duration(seconds)

    rows = [
        (
            policy.policy,
            policy.all_jobs.num_completed,
            _percent(policy.allocation_frac),
            _percent(policy.fragmentation_frac),
            time_of(policy.all_jobs.queueing_s.mean),
            time_of(policy.all_jobs.queueing_s.p99),
            time_of(policy.all_jobs.completion_s.p50),
            time_of(policy.all_jobs.completion_s.mean),
            f"{policy.jain:.3f}",
            policy.num_preemptions,
            time_of(policy.makespan_s),
            time_of(policy.seconds),
        )
        for policy in result.policies
    ]
    title = f"{len(result.trace.jobs)} jobs, {result.num_nodes} nodes, {result.num_devices} devices, simulated"
    headings = ["policy", "completed", "allocated", "unusable of free", "queueing mean", "p99", "completion p50", "mean"]
    print_table([*headings, "Jain", "preempted", "makespan", "time"], rows, title=title)
    for policy in result.policies:
        if unrun := policy.num_refused + policy.num_never_run:
            reason = next(iter(policy.refusals), "they never fitted")
            note(f"policy {policy.policy}: {unrun} jobs did not run: {reason}")


def _print_serving(result: ServingResult) -> None:
    rows = [
        (
            mode.mode.value,
            mode.policy,
            f"{mode.serving_device_hours:.1f}",
            _percent(mode.served_frac),
            _percent(mode.attained_frac),
            f"{mode.training_device_hours:.1f}",
            mode.training.num_preemptions,
            f"{mode.training.lost_device_s / 3600:.1f}",
            len(mode.behaviour.loans),
        )
        for mode in result.modes
    ]
    title = f"{result.days:.3g} days of {result.load.name}, {result.num_jobs} jobs, {result.num_devices} devices, simulated"
    headings = ["capacity", "policy", "serving device-hours", "load served", "time all served", "training device-hours"]
    print_table([*headings, "preempted", "device-hours lost", "loans"], rows, title=title)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f} %"
