"""`network.compare`: a training job's collectives on a model fabric, hash ECMP against planned paths. All of it simulated.

The job ran on a few workers of one machine; the fabric has many hosts. So the job's largest collective is widened to
one rank a host (`collectives/scale.py`) with the same message, and that is said wherever a number is shown. Rank order
decides how much crosses the fabric: dealt over the leaves (`spread`), every neighbour in the ring is on another leaf;
leaf after leaf (`packed`), one flow a leaf crosses and hashing has nothing to collide. Both are in the table; the
measurements are those of `order`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.core.collectives import Collective
from bedplate.core.errors import UsageError
from bedplate.core.figures import Figure, FigureKind, ResultTable, Series
from bedplate.core.files import write_file
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement, Provenance, measured
from bedplate.core.settings import InputFile, Range, about_setting, looks_like_path, settings
from bedplate.core.text import Text, text
from bedplate.core.topology import Topology
from bedplate.core.units import format_bytes, format_duration
from bedplate.network.collectives.placement import RankOrder
from bedplate.network.topology.specification import FabricSpecification, generated_sides

if TYPE_CHECKING:
    from bedplate.network.simulate.comparison import Outcome
    from bedplate.network.simulate.flow_level import LoadReport

_RESULT_FILE = "network.json"
BALANCES = {"ecmp": text("hash ECMP"), "planned": text("planned paths")}
"""What the balancings are called."""
_BINS = ((0.0, "0 %"), (0.25, "1–25 %"), (0.5, "26–50 %"), (0.75, "51–75 %"), (0.99, "76–99 %"), (1.0, "100 %"))


@settings
class Settings:
    """Keys of the step."""

    job: InputFile
    """Result of a training step (`$train`), or a JSON file with `world_size` and `collectives`."""
    topology: FabricSpecification = "leaf-spine:8x8"
    """Fabric: `leaf-spine:LxS` (S hosts per leaf, links at 400 Gb/s), or a file."""
    order: RankOrder = RankOrder.SPREAD
    """How ranks are assigned to hosts, one per host: round robin over the leaves, or leaf after leaf."""
    seeds: Annotated[int, Range(1, 1000)] = 51
    """Number of hash seeds; hash ECMP is reported as the median over them."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    """What would be simulated, and what is assumed.

    Raises:
        UsageError, NotFoundError: The fabric or the job file.
    """
    _check(settings)
    return (
        f"map the largest collective of {settings.job} onto {settings.topology}, one rank per host, same message size",
        f"assumed: the job widened to as many ranks as hosts, assigned '{settings.order.value}'; the other order is shown too",
        f"hash ECMP (median of {settings.seeds} seeds, 1 queue pair per flow) against planned paths (1 queue pair per flow)",
        "simulated at flow level: no packets, no latency, nothing is measured on a network",
    )


def _check(settings: Settings) -> None:
    """What can be judged before other steps have run: the fabric, and a job file of the user's."""
    from bedplate.network.collectives.job import read_job
    from bedplate.network.topology.file import read_topology

    with about_setting("topology"):
        if generated_sides(settings.topology) is None and looks_like_path(settings.topology):
            read_topology(Path(settings.topology))
    if looks_like_path(settings.job):
        with about_setting("job"):
            read_job(Path(settings.job))


def run(settings: Settings, context: StepContext) -> StepResult:
    """Simulate both balancings under both rank orders.

    Raises:
        UsageError: The job exchanges nothing, or has more ranks than the fabric has hosts.
        NotFoundError, ConfigurationError: The job or topology file.
    """
    from bedplate.network.collectives.job import read_job
    from bedplate.network.topology.specification import open_topology

    topology = open_topology(settings.topology)
    job = read_job(Path(settings.job))
    largest = _largest(job.collectives, job.world_size, len(topology.hosts))
    setting = _describe(largest, job.world_size, topology)
    context.reporter.say(f"{setting}; ranks dealt '{settings.order.value}' over the leaves")
    outcomes, bound_frac = _compare(settings, context, topology, largest, job.world_size)
    main = {outcome.balance: outcome for outcome in outcomes if outcome.order is settings.order}
    _say_outcome(context, main, bound_frac)
    measurements = _measurements(main, bound_frac, settings, topology, setting, context.clock.now())
    outputs = _outputs(settings, topology, largest, job.world_size, bound_frac, main)
    return StepResult(
        path=_write(context.directory, outputs, measurements),
        outputs=outputs,
        measurements=measurements,
        figures=(_link_figure(main, setting), _flow_figure(main, setting)),
        tables=(_table(outcomes, setting),),
    )


def _largest(collectives: Sequence[Collective], world_size: int, num_hosts: int) -> Collective:
    used = [item for item in collectives if len(item.group) > 1 and item.message_bytes * item.per_step > 0]
    if not used:
        raise UsageError(
            "the job's ranks exchange nothing", seen=f"{world_size} rank(s)", expected="a collective of two ranks or more"
        )
    if world_size > num_hosts:
        raise UsageError("the job has more ranks than the fabric has hosts", seen=world_size, expected=f"at most {num_hosts}")
    return max(used, key=lambda item: item.message_bytes * item.per_step)


def _describe(collective: Collective, world_size: int, topology: Topology) -> Text:
    return text(
        "{kind} of {size}, from a job of {ranks} ranks widened to the {hosts} hosts of {topology}",
        kind=collective.kind.value,
        size=format_bytes(collective.message_bytes),
        ranks=world_size,
        hosts=len(topology.hosts),
        topology=topology.name,
    )


def _compare(
    settings: Settings, context: StepContext, topology: Topology, collective: Collective, world_size: int
) -> tuple[list[Outcome], float]:
    """Every order and balancing, and the bound under the order that was asked for."""
    from bedplate.network.balance.bound import best_worst_share
    from bedplate.network.simulate.comparison import lay_out, simulate_balancing, summarise

    outcomes: list[Outcome] = []
    bound_frac = 1.0
    done, total = 0, len(RankOrder) * (settings.seeds + 1)
    for order in RankOrder:
        routes = lay_out(topology, collective, world_size, order)
        if order is settings.order:
            bound_frac = best_worst_share(routes)
        for balance, seeds in (("ecmp", range(settings.seeds)), ("planned", range(1))):
            loads = []
            for seed in seeds:
                context.reporter.check_cancelled()
                loads.append(simulate_balancing(routes, balance, seed))
                done += 1
                context.reporter.progress(done, total, "simulations")
            outcomes.append(summarise(order, balance, loads))
    return outcomes, bound_frac


def _say_outcome(context: StepContext, main: dict[str, Outcome], bound_frac: float) -> None:
    for outcome in main.values():
        context.reporter.say(
            f"{outcome.balance}: worst flow {_percent(outcome.worst_flow_frac)}, mean flow {_percent(outcome.mean_flow_frac)}, "
            f"mean link {_percent(outcome.link_mean_frac)}, one operation {format_duration(outcome.collective_s)} (simulated)"
        )
    context.reporter.say(f"bound of the worst flow by any paths: {_percent(bound_frac)}")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _measurements(
    main: dict[str, Outcome], bound_frac: float, settings: Settings, topology: Topology, setting: Text, at_s: float
) -> tuple[Measurement, ...]:
    values = {"network_bound_frac": bound_frac}
    for name, outcome in main.items():
        values |= {
            f"network_{name}_mean_flow_frac": outcome.mean_flow_frac,
            f"network_{name}_worst_flow_frac": outcome.worst_flow_frac,
            f"network_{name}_link_mean_frac": outcome.link_mean_frac,
            f"network_{name}_link_max_frac": outcome.link_max_frac,
            f"network_{name}_collective_s": outcome.collective_s,
        }
    return measured(
        values,
        provenance=Provenance.SIMULATED,
        hardware=f"model fabric {topology.name}",
        scale=f"{setting}; ranks dealt '{settings.order.value}'",
        num_nodes=len(topology.hosts),
        num_devices=len(topology.hosts),
        source=f"network.compare, flow level, hash seeds 0 to {settings.seeds - 1}",
        at_s=at_s,
    )


def _outputs(
    settings: Settings,
    topology: Topology,
    collective: Collective,
    world_size: int,
    bound_frac: float,
    main: dict[str, Outcome],
) -> JsonObject:
    return {
        "topology": topology.name,
        "hosts": len(topology.hosts),
        "collective": collective.kind.value,
        "message_bytes": collective.message_bytes,
        "job_world_size": world_size,
        "simulated_world_size": len(topology.hosts),
        "rank_order": settings.order.value,
        "assumption": "the job's largest collective, widened to one rank a host with the same message size",
        "bound_frac": bound_frac,
        "flows": {name: {"mean_frac": item.mean_flow_frac, "worst_frac": item.worst_flow_frac} for name, item in main.items()},
        "links": {name: {"mean_frac": item.link_mean_frac, "max_frac": item.link_max_frac} for name, item in main.items()},
        "provenance": Provenance.SIMULATED.value,
    }


def _write(directory: Path, outputs: JsonObject, measurements: Sequence[Measurement]) -> Path:
    file = directory / _RESULT_FILE
    document = {**outputs, "measurements": [item.as_json() for item in measurements]}
    write_file(file, json.dumps(document, indent=2) + "\n")
    return file


def _link_figure(main: dict[str, Outcome], setting: Text) -> Figure:
    labels = tuple(label for _, label in _BINS)
    return Figure(
        id="network_link_utilisation",
        title=text("Fabric links by utilisation"),
        details=setting,
        kind=FigureKind.BAR,
        x_label=text("utilisation of a directed leaf-spine link"),
        y_label=text("links"),
        series=tuple(Series(name=BALANCES[name], x=labels, y=_counts(outcome.typical)) for name, outcome in main.items()),
        provenance=Provenance.SIMULATED,
    )


def _counts(load: LoadReport) -> tuple[float, ...]:
    """How many links fall into each bin; a bin takes what is above the one before, up to its own bound."""
    counts = [0.0] * len(_BINS)
    for frac in load.fabric_link_frac.tolist():
        counts[next((index for index, (top, _) in enumerate(_BINS) if frac <= top + 1e-9), len(_BINS) - 1)] += 1
    return tuple(counts)


def _flow_figure(main: dict[str, Outcome], setting: Text) -> Figure:
    return Figure(
        id="network_flow_shares",
        title=text("Flows, slowest first"),
        details=setting,
        kind=FigureKind.LINE,
        x_label=text("flows, slowest first"),
        y_label=text("% of the NIC's rate"),
        series=tuple(
            Series(
                name=BALANCES[name],
                x=tuple(range(1, len(outcome.typical.flow_frac_F) + 1)),
                y=tuple(sorted((100 * outcome.typical.flow_frac_F).tolist())),
            )
            for name, outcome in main.items()
        ),
        provenance=Provenance.SIMULATED,
    )


def _table(outcomes: Sequence[Outcome], setting: Text) -> ResultTable:
    return ResultTable(
        id="network_balancing",
        title=text("Hash ECMP (median over seeds) and planned paths"),
        details=setting,
        columns=(
            text("rank order"),
            text("balancing"),
            text("worst flow %"),
            text("mean flow %"),
            text("mean link %"),
            text("hottest link %"),
            text("operation ms"),
        ),
        rows=tuple(
            (
                item.order.value,
                BALANCES[item.balance],
                round(100 * item.worst_flow_frac, 1),
                round(100 * item.mean_flow_frac, 1),
                round(100 * item.link_mean_frac, 1),
                round(100 * item.link_max_frac, 1),
                round(1e3 * item.collective_s, 3),
            )
            for item in outcomes
        ),
        provenance=Provenance.SIMULATED,
    )
