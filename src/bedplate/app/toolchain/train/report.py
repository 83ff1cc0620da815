"""What the story of a run says in numbers and pictures."""

from __future__ import annotations

import itertools
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.app.pipeline.contract.measured import measured_in
from bedplate.app.pipeline.contract.step import StepContext
from bedplate.app.toolchain.train.story import Story
from bedplate.core.figures import Figure, FigureKind, Series
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement, Provenance
from bedplate.core.text import text
from bedplate.core.units import format_duration
from bedplate.toolchain.train.settings import TrainSettings

PHASES = ("detect", "clear", "start and import", "build", "rendezvous", "load", "first step")
"""What a recovery consists of, in order."""


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
    phases_s: tuple[float, ...]
    """Length of each of PHASES that was reached."""

    def __str__(self) -> str:
        text = f"worker {self.rank} was lost after step {self.step}: seen in {format_duration(self.detect_s)}"
        if self.resume_forward_s is not None:
            text += f", computing again after {format_duration(self.resume_forward_s)}"
        if self.resume_step_s is not None:
            text += f", first step after {format_duration(self.resume_step_s)}; steps done twice: {self.steps_repeated}"
        return text

    def as_json(self) -> JsonObject:
        """For outputs and `-o json`."""
        return {
            "kind": self.kind,
            "rank": self.rank,
            "step": self.step,
            "detect_s": self.detect_s,
            "resume_forward_s": self.resume_forward_s,
            "resume_step_s": self.resume_step_s,
            "steps_repeated": self.steps_repeated,
            "phases_s": dict(zip(PHASES, self.phases_s, strict=False)),
        }


def recoveries(story: Story) -> list[Recovery]:
    """All failures of the run, in order."""
    failures = [index for index, entry in enumerate(story.entries) if entry["kind"] == "failure"]
    return [_recovery(story.entries, index, end) for index, end in itertools.pairwise([*failures, len(story.entries)])]


def _recovery(entries: list[dict[str, Any]], index: int, end: int) -> Recovery:
    failure, after = entries[index], entries[index + 1 : end]
    at_s = failure["at_s"]
    finished = max((entry["step"] for entry in entries[:index] if entry["kind"] == "step"), default=0)
    moments = [failure["detected_s"], *(_last(after, kind) for kind in ("attempt", "imported", "built", "joined", "loaded"))]
    forward, step = _last(after, "forward"), next((entry for entry in after if entry["kind"] == "step"), None)
    reached = [*moments, step["at_s"] if step else None]
    phases, before_s = [], at_s
    for moment in reached:
        if moment is None:
            break
        phases.append(moment - before_s)
        before_s = moment
    return Recovery(
        kind=failure["failure"],
        rank=failure["rank"],
        step=finished,
        detect_s=failure["detected_s"] - at_s,
        resume_forward_s=None if forward is None else forward - at_s,
        resume_step_s=None if step is None else step["at_s"] - at_s,
        steps_repeated=None if step is None else finished + 1 - step["step"],
        phases_s=tuple(phases),
    )


def _last(entries: list[dict[str, Any]], kind: str) -> float | None:
    """When the last rank got there; evaluations and later attempts do not count."""
    return max((entry["at_s"] for entry in entries if entry["kind"] == kind), default=None)


def goodput_frac(story: Story) -> float:
    """Seconds of steps that count, over all seconds from the first start to the last step but those of evaluation."""
    steps = story.steps()
    useful_s = sum(step["seconds"] for step in steps)
    evaluation_s = sum(entry["seconds"] for entry in story.of("evaluated") if entry["rank"] == 0 and entry["when"] == "before")
    total_s = steps[-1]["at_s"] - story.of("attempt")[0]["at_s"] - evaluation_s
    return float(min(1.0, useful_s / total_s))


def step_seconds(story: Story) -> float:
    """Median length of the steps that count."""
    return float(statistics.median(step["seconds"] for step in story.steps()))


def add_facts(folder: Path, facts: JsonObject) -> None:
    """Put what only the supervisor knows into `training.json`, at once or not at all."""
    file = folder / "training.json"
    aside = folder / ".training.json.partial"
    aside.write_text(json.dumps(json.loads(file.read_text()) | dict(facts), indent=2) + "\n")
    aside.replace(file)


def measurements(
    story: Story, result: JsonObject, settings: TrainSettings, context: StepContext, num_parameters: int
) -> tuple[Measurement, ...]:
    """Speed, loss, perplexities, goodput; and of the last recovery its times."""
    steps, found = story.steps(), recoveries(story)
    values: dict[str, Any] = {
        "tokens_per_s": sum(step["tokens"] for step in steps) / sum(step["seconds"] for step in steps),
        "train_flops_per_token": FLOPS_PER_WEIGHT * num_parameters,
        "final_loss": steps[-1]["loss"],
        "goodput_frac": goodput_frac(story),
        "ppl_before": result.get("perplexity_before"),
        "ppl_after": result.get("perplexity_after"),
    }
    if found:
        last = found[-1]
        values |= {
            "kill_detect_s": last.detect_s,
            "resume_forward_s": last.resume_forward_s,
            "resume_step_s": last.resume_step_s,
            "steps_repeated": last.steps_repeated,
        }
    workers = story.of("attempt")[-1]["workers"]
    scale = f"{workers} workers, {sum(step['tokens'] for step in steps)} tokens, {settings.precision}"
    return measured_in(context, values, scale=scale, source="train")


def figures(story: Story) -> tuple[Figure, ...]:
    """Loss over steps with the failures marked, and where the time of each recovery went."""
    steps, found = story.steps(), recoveries(story)
    numbers = tuple(float(step["step"]) for step in steps)
    marks = [(float(item.step), text("worker {rank} lost ({kind})", rank=item.rank, kind=item.kind)) for item in found]
    marks += [
        (float(item.step + 1 - item.steps_repeated), text("resumed")) for item in found if item.steps_repeated is not None
    ]
    loss = Figure(
        id="train_loss",
        title=text("Training loss"),
        kind=FigureKind.LINE,
        x_label=text("optimiser step"),
        y_label=text("nats/token"),
        series=(Series(name=text("loss"), x=numbers, y=tuple(step["loss"] for step in steps)),),
        provenance=Provenance.MEASURED,
        marks=tuple(marks),
    )
    if not found:
        return (loss,)
    names = [text("failure {number}: {kind}", number=number, kind=item.kind) for number, item in enumerate(found, start=1)]
    timeline = Figure(
        id="train_recovery",
        title=text("Where the time of a recovery goes"),
        kind=FigureKind.BAR,
        x_label=text("phase"),
        y_label="s",
        series=tuple(
            Series(name=name, x=PHASES[: len(item.phases_s)], y=item.phases_s) for name, item in zip(names, found, strict=True)
        ),
        provenance=Provenance.MEASURED,
    )
    return (loss, timeline)
