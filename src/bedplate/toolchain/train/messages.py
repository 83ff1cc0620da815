"""What a training worker is given, what it reports, in order, and what it returns at the end.

A worker sends each report as one progress event; the supervisor writes most of them into its journal. Losses, norms and
perplexities may be NaN or infinite: that is what a diverged run looks like, and it must arrive as such.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bedplate.core.collectives import Collective
from bedplate.core.json import JsonObject
from bedplate.core.messages import decode, encode
from bedplate.toolchain.models.card import ModelCard
from bedplate.toolchain.train.settings import TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSpec:
    """What the supervisor gives each rank; the `spec` of its task."""

    settings: TrainSettings
    workers: int
    """Wanted workers, which fix the tokens of a step; the gang may be smaller."""
    run: str
    """Identity of the run: only checkpoints that carry it are resumed from."""
    result: str
    """Folder in which the trained model is to appear."""
    card: ModelCard
    """What the model's card records about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The worker's code is loaded."""

    kind: Literal["imported"] = "imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Shapes and buffers are there; the rank waits for the others to join."""

    backend: str = "cpu"
    """How its device is programmed."""
    precision: str = ""
    """What forward and backward are computed in on it; may differ from what the settings want."""
    kind: Literal["built"] = "built"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """All ranks are connected."""

    kind: Literal["joined"] = "joined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Weights and optimiser state are there."""

    resumed_from: int
    """Steps that are behind this state; 0 at the start of a run."""
    store: str
    """`model`, `memory` or `disk`."""
    kind: Literal["loaded"] = "loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRejected:
    """A checkpoint is damaged or belongs to other work; the one before it is tried."""

    step: int
    store: str
    reason: str
    kind: Literal["checkpoint-rejected"] = "checkpoint-rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardBegan:
    """The first forward pass of this process begins."""

    step: int
    kind: Literal["forward"] = "forward"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitBegan:
    """The rank has done its part and waits for the others in a collective, until its next report."""

    step: int
    kind: Literal["wait"] = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One finished optimiser step, over all ranks."""

    step: int
    loss: float
    """Mean cross-entropy of the step's tokens in nats, before the update."""
    tokens: int
    gradient_norm: float
    """Before clipping."""
    learning_rate: float
    seconds: float
    compute_s: float
    """Forward and backward on this rank."""
    exchange_s: float
    """Waiting for and talking to the other ranks."""
    is_skipped: bool = False
    """Loss or gradient norm is not finite, and the step was not applied."""
    kind: Literal["step"] = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """This rank's share of a checkpoint is committed."""

    step: int
    store: str
    seconds: float
    kind: Literal["checkpoint"] = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Held-out text was judged."""

    when: Literal["before", "after"]
    perplexity: float
    tokens: int
    seconds: float
    kind: Literal["evaluated"] = "evaluated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The trained model's folder is complete."""

    seconds: float
    kind: Literal["exported"] = "exported"


Report: TypeAlias = (
    Imported
    | Built
    | Joined
    | Loaded
    | CheckpointRejected
    | ForwardBegan
    | WaitBegan
    | StepReport
    | CheckpointSaved
    | Evaluated
    | Exported
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One progress event of a training worker."""

    report: Report
    dropped_before: int = 0
    """Earlier events that the engine's channel lost."""


def read_report(attributes: JsonObject) -> Report:
    """The report in the attributes of a progress event.

    Raises:
        MessageError: It holds something else.
    """
    return decode(Envelope, attributes).report


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMeta:
    """What a checkpoint carries besides the buffers."""

    run: str
    """Identity of the run: another model, other data or settings never match."""
    num_elements: int = 0
    """Weights of the model, over all ranks."""
    steps_skipped: int = 0
    """Of the steps behind it, those that were not applied."""
    loss: float | None = None
    """Of the last step."""
    is_evaluated: bool = False
    """Whether the evaluation before training was done, and is not to be done again."""
    perplexity_before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What rank 0 returns at the end; the first part of `training.json`."""

    run: str
    steps: int
    steps_skipped: int
    final_loss: float
    """Mean cross-entropy of the last step's tokens in nats."""
    perplexity_before: float | None
    """None: evaluation was switched off."""
    perplexity_after: float | None
    world_size: int
    tokens_per_step: int
    backend: str = "cpu"
    """How the devices are programmed that it ran on at the end."""
    precision: str = ""
    """What forward and backward were computed in there; may differ from what the settings want."""
    collectives: tuple[Collective, ...]
    """What one optimiser step exchanges."""

    @classmethod
    def from_training_file(cls, document: JsonObject) -> TrainingResult:
        """From `training.json`, which holds more than this.

        Raises:
            MessageError: It does not hold a result.
        """
        names = [item.name for item in dataclasses.fields(cls)]
        return decode(cls, {name: document[name] for name in names if name in document})

    def as_json(self) -> JsonObject:
        """For the worker's result and for `training.json`."""
        return encode(self)
