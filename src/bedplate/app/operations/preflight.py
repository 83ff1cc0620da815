"""`ops.preflight`: the slots and stores that a job will use, tried before it starts; a bad slot is left out, and why."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from bedplate.app.pipeline.contract.measured import measured_in
from bedplate.app.pipeline.contract.standalone import standalone_context
from bedplate.app.pipeline.contract.step import Needs, PlanContext, StepContext, StepResult, Workers
from bedplate.app.wiring import service_events
from bedplate.core.errors import CheckFailedError, ResourcesError
from bedplate.core.events.kinds import (
    PreflightBadLink,
    PreflightSlotDisturbed,
    PreflightSlotExcluded,
    PreflightStoreUnfit,
    make_event,
)
from bedplate.core.files import write_file
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement
from bedplate.core.paths import cache_home, state_home
from bedplate.core.reporter import Reporter
from bedplate.core.settings import Range, settings
from bedplate.core.units import ByteCount, Count, Duration, Fraction, Rate
from bedplate.core.workload import TaskState, TaskStatus
from bedplate.engines.base import CanExclude, Engine, num_usable_cores
from bedplate.operations.preflight.screening import Screening, SlotReport, screen_slots
from bedplate.operations.preflight.session import ScreeningLimits
from bedplate.operations.preflight.stores import StoreReport, try_store
from bedplate.operations.preflight.summary import cores_text, screening_scale, screening_table, screening_values
from bedplate.operations.preflight.verdicts import SlotVerdict


@settings
class Settings:
    """The keys of an `ops.preflight` step."""

    budget: Annotated[Duration, Range(0.1)] = 1.2
    """Time spent measuring each slot; more time gives steadier rates."""
    slow_share: Fraction = 0.5
    """How far below its peers' rate a slot may fall before it is excluded."""
    max_slots: Annotated[Count, Range(1)] = 32
    """Maximum number of slots to screen, starting with those that the engine hands out first."""
    pair_bytes: Annotated[ByteCount, Range(4)] = 4 * 2**20
    """Size of the all-reduce that each pair of slots runs."""
    pair_timeout: Annotated[Duration, Range(1)] = 10.0
    """Timeout for a pair to connect, and for each all-reduce."""
    slow_pair_ratio: Annotated[float, Range(1)] = 5.0
    """Maximum time of a pair, as a multiple of the time of the fastest quarter of the pairs."""
    retries: Count = 2
    """How many times a slow slot is measured again before it is excluded."""
    hung_after: Annotated[Duration, Range(2)] = 30.0
    """Silence after which a slot's process counts as hung."""
    store_need: ByteCount = 2 * 10**9
    """Free space that the job needs in each store."""
    store_floor: Rate = 5e6
    """Minimum write and read rate of each store."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    """What would be tried."""
    num_slots = _num_slots(settings, context)
    return (
        f"measure {num_slots} slots of {context.needs.cpus_per_worker} core(s), {settings.budget:g} s, against each other",
        "pair them in two rounds of checked all-reduces" if num_slots > 1 else "no pairs: only one slot",
        f"write, flush and read a file in {_stores(context)['state']} and {_stores(context)['cache']}",
    )


def run(settings: Settings, context: StepContext) -> StepResult:
    """Try the stores, screen the slots, exclude the bad ones from the engine.

    Returns:
        outputs: `excluded` [{node, cores, verdict, reason}], `kept` [{node, cores}], `bad_links`, `stores`; path: the same
        as a JSON file.

    Raises:
        CheckFailedError: Fewer slots than `needs.workers.min` can be kept, or a store that cannot be used.
        ResourcesError: The engine is taken, or has fewer slots than that, bad or good.
    """
    num_slots = _enough_slots(settings, context)
    stores = _fit_stores(settings, context)
    screening = screen_slots(
        context.engine,
        num_slots,
        context.needs.cpus_per_worker,
        _limits(settings),
        context.reporter,
    )
    kept = screening.kept(context.needs.workers.want)
    excluded = [slot for slot in screening.slots if slot not in kept]
    _emit_findings(context, screening, kept)
    _exclude(context.engine, excluded)
    _refuse_too_few(context, screening, kept)
    outputs = _outputs(screening, kept, excluded, stores)
    path = context.directory / "screening.json"
    write_file(path, json.dumps(outputs, indent=2))
    return StepResult(
        path=path,
        outputs=outputs,
        measurements=_measurements(context, screening, kept, stores),
        tables=(screening_table(screening),),
    )


def screen_this_machine(settings: Settings, *, cores_per_slot: int, min_slots: int, reporter: Reporter) -> StepResult:
    """`run` outside a pipeline: on a local engine of this process's cores, findings go to `reporter`; see `run` for errors."""
    directory = state_home() / "preflight"
    directory.mkdir(parents=True, exist_ok=True)
    needs = Needs(workers=Workers(want=min_slots, min=min_slots), cpus_per_worker=cores_per_slot)
    with (
        tempfile.TemporaryDirectory(prefix="engine-", dir=directory) as folder,
        service_events("preflight") as events,
        standalone_context("preflight", Path(folder), reporter, events, needs) as context,
    ):
        return run(settings, replace(context, directory=directory))


def _limits(settings: Settings) -> ScreeningLimits:
    return ScreeningLimits(
        budget_s=settings.budget,
        slow_share=settings.slow_share,
        pair_bytes=settings.pair_bytes,
        pair_timeout_s=settings.pair_timeout,
        slow_pair_ratio=settings.slow_pair_ratio,
        hung_after_s=settings.hung_after,
        num_retries=settings.retries,
    )


def _num_slots(settings: Settings, context: PlanContext) -> int:
    usable = num_usable_cores(context.engine).values()
    return min(sum(cores // context.needs.cpus_per_worker for cores in usable), settings.max_slots)


def _stores(context: PlanContext) -> dict[str, Path]:
    return {"state": context.directory, "cache": cache_home()}


def _emit(context: StepContext, facts: object, message: str) -> None:
    context.reporter.say(message)
    context.events.emit(make_event(facts, at_s=context.clock.now(), message=message, source="preflight"))


def _enough_slots(settings: Settings, context: StepContext) -> int:
    num_slots, num_needed = _num_slots(settings, context), context.needs.workers.min
    if num_slots < num_needed:
        raise ResourcesError(
            "the engine has fewer slots than the job needs",
            seen=f"{num_slots} slots of {context.needs.cpus_per_worker} core(s)",
            expected=f"at least {num_needed}",
            next_step="lower needs.workers.min or needs.cpus_per_worker, or use a larger machine",
        )
    return num_slots


def _fit_stores(settings: Settings, context: StepContext) -> list[StoreReport]:
    context.reporter.say("trying the stores")
    stores = [try_store(name, path, settings.store_need, settings.store_floor) for name, path in _stores(context).items()]
    unfit = [store for store in stores if store.reason]
    for store in unfit:
        message = f"store '{store.name}' {store.reason}"
        _emit(context, PreflightStoreUnfit(store=store.name, path=str(store.path), reason=store.reason), message)
    if unfit:
        raise CheckFailedError(
            f"store '{unfit[0].name}' {unfit[0].reason}",
            seen=unfit[0].path,
            expected="a directory that stores and returns the job's data",
            next_step="free space there, or set XDG_STATE_HOME or XDG_CACHE_HOME to another disk",
        )
    return stores


def _emit_findings(context: StepContext, screening: Screening, kept: Sequence[SlotReport]) -> None:
    for slot in screening.slots:
        name = f"slot {slot.slot} (core {cores_text(slot)})"
        if slot not in kept:
            facts = PreflightSlotExcluded(node=slot.node, cores=slot.cores, verdict=slot.verdict.value, reason=slot.reason)
            _emit(context, facts, f"{name} is excluded: {slot.reason}")
        elif slot.verdict is SlotVerdict.DISTURBED:
            disturbed = PreflightSlotDisturbed(node=slot.node, cores=slot.cores, reason=slot.reason)
            _emit(context, disturbed, f"{name} is kept because the job needs it, but {slot.reason}")
    for a, b in screening.bad_links:
        _emit(context, PreflightBadLink(slots=(a, b)), f"slots {a} and {b} are good, but not with each other")


def _exclude(engine: Engine, slots: Sequence[SlotReport]) -> None:
    for slot in slots:
        if isinstance(engine, CanExclude):
            engine.exclude(slot.node, slot.cores, slot.reason)


def _refuse_too_few(context: StepContext, screening: Screening, kept: Sequence[SlotReport]) -> None:
    if len(kept) < context.needs.workers.min:
        reasons = "; ".join(f"slot {slot.slot}: {slot.reason}" for slot in screening.slots if slot.reason)
        raise CheckFailedError(
            "too few good slots are left",
            seen=f"{len(kept)} of {len(screening.slots)}; {reasons}",
            expected=f"at least {context.needs.workers.min}",
            next_step="fix or free the slots named, or lower needs.workers.min",
        )


def _measurements(
    context: StepContext, screening: Screening, kept: Sequence[SlotReport], stores: Sequence[StoreReport]
) -> tuple[Measurement, ...]:
    tasks = [TaskStatus(rank=slot.slot, state=TaskState.DONE, node=slot.node, cores=slot.cores) for slot in screening.slots]
    values, scale = screening_values(screening, kept, stores), screening_scale(screening)
    return measured_in(context, values, scale=scale, source="ops.preflight", tasks=tasks)


def _outputs(
    screening: Screening, kept: Sequence[SlotReport], excluded: Sequence[SlotReport], stores: Sequence[StoreReport]
) -> JsonObject:
    return {
        "excluded": [_excluded(slot) for slot in excluded],
        "kept": [{"node": slot.node, "cores": list(slot.cores)} for slot in kept],
        "bad_links": [list(pair) for pair in screening.bad_links],
        "is_over_subscribed": screening.is_over_subscribed,
        "stores": [
            {
                "name": store.name,
                "path": str(store.path),
                "free_bytes": store.free_bytes,
                "write_bytes_per_s": store.write_bytes_per_s,
                "read_bytes_per_s": store.read_bytes_per_s,
                "reason": store.reason,
            }
            for store in stores
        ],
    }


def _excluded(slot: SlotReport) -> JsonObject:
    return {"node": slot.node, "cores": list(slot.cores), "verdict": slot.verdict.value, "reason": slot.reason}
