"""What the journal of a run says in numbers and pictures."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.app.pipeline.contract.measured import Extent, measured_in
from bedplate.app.pipeline.contract.step import StepContext
from bedplate.app.toolchain.train.journal import AttemptBegan, Entry, Failure, GangCleared, TrainingJournal
from bedplate.compute.backends.registry import backends
from bedplate.core.figures import Figure, FigureKind, Series
from bedplate.core.files import write_file
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement, Provenance
from bedplate.core.text import text
from bedplate.core.units import format_duration
from bedplate.toolchain.models.config import ModelConfig
from bedplate.toolchain.train.messages import (
    Built,
    Evaluated,
    ForwardBegan,
    Imported,
    Joined,
    Loaded,
    StepReport,
    TrainingResult,
)
from bedplate.toolchain.train.result_folder import TRAINING_FILE
from bedplate.toolchain.train.settings import TrainSettings

PHASES: Mapping[str, type | None] = {
    "detect": None,
    "clear": GangCleared,
    "start and import": Imported,
    "build": Built,
    "rendezvous": Joined,
    "load": Loaded,
    "first step": StepReport,
}
"""What a recovery consists of, in order, and what ends each phase; `detect` ends when the supervisor knows."""
_MAX_NAMED = 5
FLOPS_PER_WEIGHT = 6
"""Of one training token: 2 forward and 4 backward, attention scores left out (Kaplan et al. 2020, section 2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One failure and what followed, in seconds from the failure; None where it never came to that."""

    kind: str
    """`drill`, or the engine's cause: `signal`, `hung`, `error`, …"""
    rank: int
    step: int
    """Last step that was finished before it."""
    detect_s: float
    resume_forward_s: float | None
    resume_step_s: float | None
    steps_repeated: int | None
    phases_s: Mapping[str, float]
    """Length of each of PHASES that was reached."""

    def __str__(self) -> str:
        line = f"worker {self.rank} was lost after step {self.step}: detected in {format_duration(self.detect_s)}"
        if self.resume_forward_s is not None:
            line += f", computing again after {format_duration(self.resume_forward_s)}"
        if self.resume_step_s is not None:
            line += f", first step after {format_duration(self.resume_step_s)}; steps repeated: {self.steps_repeated}"
        return line


def recoveries(journal: TrainingJournal) -> list[Recovery]:
    """All failures of the run, in order."""
    entries = journal.entries
    failures = [index for index, entry in enumerate(entries) if isinstance(entry.what, Failure)]
    return [_recovery(entries[:start], entries[start:end]) for start, end in itertools.pairwise([*failures, len(entries)])]


def _recovery(before: Sequence[Entry], since: Sequence[Entry]) -> Recovery:
    """Of the failure that `since` begins with, up to the next failure."""
    entry, after = since[0], since[1:]
    failure, at_s = entry.what, entry.at_s
    assert isinstance(failure, Failure) and entry.rank is not None
    finished = max((item.what.step for item in before if isinstance(item.what, StepReport)), default=0)
    forward_s, step_s = _last(after, ForwardBegan), _first(after, StepReport)
    first_step = next((item.what.step for item in after if isinstance(item.what, StepReport)), None)
    return Recovery(
        kind=failure.cause,
        rank=entry.rank,
        step=finished,
        detect_s=failure.detected_s - at_s,
        resume_forward_s=None if forward_s is None else forward_s - at_s,
        resume_step_s=None if step_s is None else step_s - at_s,
        steps_repeated=None if first_step is None else finished + 1 - first_step,
        phases_s=_phases(at_s, failure, after),
    )


def _phases(at_s: float, failure: Failure, after: Sequence[Entry]) -> Mapping[str, float]:
    phases: dict[str, float] = {}
    for name, ended_by in PHASES.items():
        if ended_by is None:
            moment: float | None = failure.detected_s
        else:
            moment = _first(after, ended_by) if ended_by is StepReport else _last(after, ended_by)
        if moment is None:
            break
        phases[name] = moment - at_s
        at_s = moment
    return phases


def _last(entries: Sequence[Entry], kind: type) -> float | None:
    """When the last rank got there; evaluations and later attempts do not count."""
    return max((entry.at_s for entry in entries if isinstance(entry.what, kind)), default=None)


def _first(entries: Sequence[Entry], kind: type) -> float | None:
    return next((entry.at_s for entry in entries if isinstance(entry.what, kind)), None)


def goodput_frac(journal: TrainingJournal) -> float:
    """Seconds of steps that count and were applied, over all seconds from the first start to the last step but those of
    evaluation.
    """
    useful_s = sum(step.seconds for step in journal.steps() if not step.is_skipped)
    evaluations = (entry.what for entry in journal.entries if entry.rank == 0 and isinstance(entry.what, Evaluated))
    evaluation_s = sum(evaluated.seconds for evaluated in evaluations if evaluated.when == "before")
    ended_s = max(entry.at_s for entry in journal.entries if isinstance(entry.what, StepReport))
    began_s = next(entry.at_s for entry in journal.entries if isinstance(entry.what, AttemptBegan))
    return min(1.0, useful_s / (ended_s - began_s - evaluation_s))


def step_seconds(journal: TrainingJournal) -> float:
    """Median length of the steps that count."""
    return statistics.median(step.seconds for step in journal.steps())


def add_facts(folder: Path, facts: JsonObject) -> None:
    """Put what only the supervisor knows into `training.json`, atomically."""
    file = folder / TRAINING_FILE
    write_file(file, json.dumps(json.loads(file.read_text(encoding="utf-8")) | dict(facts), indent=2) + "\n")


def measurements(
    journal: TrainingJournal, result: TrainingResult, settings: TrainSettings, context: StepContext, num_parameters: int
) -> tuple[Measurement, ...]:
    """Speed, loss, perplexities, goodput, skipped steps; and of the last recovery its times."""
    steps, found = journal.steps(), recoveries(journal)
    tokens = sum(step.tokens for step in steps)
    values: dict[str, float | None] = {
        "tokens_per_s": tokens / sum(step.seconds for step in steps),
        "train_flops_per_token": FLOPS_PER_WEIGHT * num_parameters,
        "final_loss": result.final_loss,
        "goodput_frac": goodput_frac(journal),
        "ppl_before": result.perplexity_before,
        "ppl_after": result.perplexity_after,
        "steps_skipped": result.steps_skipped,
    }
    if found:
        last = found[-1]
        values |= {
            "kill_detect_s": last.detect_s,
            "resume_forward_s": last.resume_forward_s,
            "resume_step_s": last.resume_step_s,
            "steps_repeated": last.steps_repeated,
        }
    last_attempt = journal.of(AttemptBegan)[-1]
    scale = f"{last_attempt.workers} workers, {tokens} tokens, {settings.precision}"
    extent = Extent(num_nodes=last_attempt.num_nodes, num_devices=last_attempt.num_devices)
    known = backends()
    emulated = result.backend in known and known[result.backend].is_emulated
    return measured_in(context, values, scale=scale, source="train", extent=extent, emulated=emulated)


def warnings(journal: TrainingJournal, result: TrainingResult, model: ModelConfig) -> tuple[str, ...]:
    """What a person must know about a run that reached its end all the same."""
    found = []
    if result.steps_skipped:
        skipped = [str(step.step) for step in journal.steps() if step.is_skipped]
        named = ", ".join(skipped[:_MAX_NAMED]) + (
            f" and {len(skipped) - _MAX_NAMED} more" if len(skipped) > _MAX_NAMED else ""
        )
        found.append(
            f"{result.steps_skipped} of {result.steps} steps were not finite and skipped ({named}): their text was not learned"
        )
    before, after = result.perplexity_before, result.perplexity_after
    if before is not None and after is not None and not after <= before:
        found.append(f"training made the model worse on held-out text: perplexity {before:.4g} -> {after:.4g}")
    elif not journal.steps()[-1].is_skipped and result.final_loss > (guessing := math.log(model.vocab_size)):
        found.append(f"the last loss is {result.final_loss:.4g} nats a token, guessing costs {guessing:.4g}: the run diverged")
    return tuple(found)


def figures(journal: TrainingJournal) -> tuple[Figure, ...]:
    """Loss over steps with failures and skipped steps marked, and where the time of each recovery went."""
    steps, found = journal.steps(), recoveries(journal)
    marks = [(float(item.step), text("worker {rank} lost ({kind})", rank=item.rank, kind=item.kind)) for item in found]
    marks += [
        (float(item.step + 1 - item.steps_repeated), text("resumed")) for item in found if item.steps_repeated is not None
    ]
    marks += [(float(step.step), text("skipped")) for step in steps if step.is_skipped]
    losses = tuple(step.loss if math.isfinite(step.loss) else None for step in steps)
    loss = Figure(
        id="train_loss",
        title=text("Training loss"),
        kind=FigureKind.LINE,
        x_label=text("optimiser step"),
        y_label=text("nats/token"),
        series=(Series(name=text("loss"), x=tuple(float(step.step) for step in steps), y=losses),),
        provenance=Provenance.MEASURED,
        marks=tuple(marks),
    )
    if not found:
        return (loss,)
    timeline = Figure(
        id="train_recovery",
        title=text("Where the time of a recovery goes"),
        kind=FigureKind.BAR,
        x_label=text("phase"),
        y_label="s",
        series=tuple(
            Series(
                name=text("failure {number}: {kind}", number=number, kind=item.kind),
                x=tuple(item.phases_s),
                y=tuple(item.phases_s.values()),
            )
            for number, item in enumerate(found, start=1)
        ),
        provenance=Provenance.MEASURED,
    )
    return (loss, timeline)
