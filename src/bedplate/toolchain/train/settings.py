"""The settings of a training run: the keys of `use: train` and of `bedplate train FILE`."""

from __future__ import annotations

import enum
import math
from dataclasses import field
from typing import Annotated

from bedplate.core.errors import UsageError
from bedplate.core.settings import Input, InputFile, Operational, Range, settings
from bedplate.core.units import Count, Duration, Fraction, Quantity, parse_count
from bedplate.toolchain.data.layout import DERIVED


def parse_steps(text: str | float) -> int:
    """`2 steps`, `1 step`, `2` -> 2.

    Raises:
        UsageError: Not a whole number, with or without the word.
    """
    return parse_count(text.removesuffix("steps").removesuffix("step").strip() if isinstance(text, str) else text)


Steps = Annotated[int, Quantity(parse_steps, "steps", "2 steps")]
"""Settings type: optimiser steps; people write `2 steps` or `2`."""


class Precision(enum.StrEnum):
    """What forward and backward are computed in; master weights and moments are always fp32."""

    BF16 = "bf16"
    FP32 = "fp32"


class NonFinitePolicy(enum.StrEnum):
    """What happens to a step whose loss or gradient is NaN or infinite; it is never applied."""

    STOP = "stop"
    """The run ends with an error; its last checkpoint stays."""
    SKIP = "skip"
    """The step's data is skipped, weights and optimiser state stay as they were, and training continues."""


class CheckpointPlace(enum.StrEnum):
    """Where the frequent checkpoints go."""

    MEMORY = "memory"
    """Memory files of the supervisor; survive the death of any worker."""
    DISK = "disk"
    """Straight to disk; slower, survives the supervisor too."""


@settings
class CheckpointSettings:
    """How often the state of training is kept, and where."""

    every: Annotated[Steps, Range(1)] = 2
    """Optimiser steps between checkpoints: at most this many are repeated after a failure."""
    in_: CheckpointPlace = CheckpointPlace.MEMORY
    """`memory` or `disk` (the key is `in`)."""
    disk_every: Annotated[Steps, Range(1)] = 10
    """Optimiser steps between copies of the memory checkpoint to disk, in case the supervisor dies too."""


@settings
class DrillSettings:
    """A deliberate failure: one worker is killed with SIGKILL, and the run measures how it recovers."""

    kill: Annotated[int, Range(0)] = 0
    """Rank that is killed."""
    at_step: Annotated[Steps, Range(1)]
    """It is killed as soon as this step has finished."""


@settings
class EvaluationSettings:
    """Perplexity on held-out documents before and after."""

    tokens: Annotated[Count, Range(0)] = 8192
    """Held-out tokens that are read; 0 skips the evaluation."""
    context: Annotated[Count, Range(2)] = 1024
    """Tokens of one window; each window starts cold. The compress step uses the same text and the same windows."""


@settings
class TrainSettings:
    """One training run."""

    model: InputFile
    """Folder of the model to start from: config.json, *.safetensors, tokenizer files."""
    data: Annotated[str, Input(derived=DERIVED)]
    """Folder of token shards, as `data.text` makes it."""
    tokens: Annotated[Count, Range(1)] = 40_000
    """Training tokens; rounded up to whole steps."""
    precision: Precision = Precision.BF16
    """`bf16` or `fp32`."""
    sequence: Annotated[Count, Range(2)] = 512
    """Tokens of one training sequence. Sequences are cut from the documents in a row: one may span several, with the
    end-of-text token between them, and attention sees all of it."""
    micro_batch: Annotated[Count, Range(1)] = 1
    """Sequences in one forward and backward pass."""
    accumulate: Annotated[Count, Range(1)] = 2
    """Micro-batches of each wanted worker in one optimiser step; fewer workers do more each, the step stays the same."""
    learning_rate: Annotated[float, Range(0, 1e6)] = 5e-5
    """Peak learning rate."""
    warm_up: Fraction = 0.1
    """Share of the steps in which the rate rises from 0 to its peak; a cosine decay to a tenth of the peak follows."""
    weight_decay: Annotated[float, Range(0, 1e6)] = 0.01
    """Decoupled weight decay of the matrices; norms have none."""
    clip: Annotated[float, Range(0)] = 1.0
    """Gradients are clipped to this norm; 0 disables clipping."""
    on_non_finite: Annotated[NonFinitePolicy, Operational()] = NonFinitePolicy.STOP
    """`stop` or `skip`: what happens when the loss or the gradient of a step is NaN or infinite."""
    max_skipped_steps: Annotated[Count, Range(0), Operational()] = 10
    """Most steps that `on_non_finite: skip` may skip, however long the run is; one more stops it."""
    max_skipped: Annotated[Fraction, Operational()] = 0.1
    """Most of the run's steps that `on_non_finite: skip` may skip, as a share and rounded up; one more stops it."""
    seed: int = 0
    """Order of the data."""
    checkpoint: Annotated[CheckpointSettings, Operational()] = field(default_factory=CheckpointSettings)
    """Checkpoints."""
    drill: DrillSettings | None = None
    """Kill a worker deliberately, to measure the recovery."""
    evaluate: EvaluationSettings = field(default_factory=EvaluationSettings)
    """Perplexity before and after."""
    restarts: Annotated[int, Range(0), Operational()] = 3
    """Failures after which the run gives up; a drill does not count."""
    hang_timeout: Annotated[Duration, Operational()] = 120.0
    """A worker that is silent for this long counts as hung and is killed."""

    def __post_init__(self) -> None:
        if self.warm_up >= 1:
            raise UsageError("'warm_up' leaves no step at the full rate", seen=self.warm_up, expected="below 100%")

    def num_steps(self, workers: int) -> int:
        """Optimiser steps with that many wanted workers."""
        return -(-self.tokens // self.tokens_per_step(workers))

    def num_skippable(self, workers: int) -> int:
        """Steps that `on_non_finite: skip` may skip: the smaller of its two limits."""
        return min(self.max_skipped_steps, math.ceil(self.max_skipped * self.num_steps(workers) - 1e-9))

    def tokens_per_step(self, workers: int) -> int:
        """Tokens of one optimiser step with that many wanted workers."""
        return self.sequence * self.micro_batch * self.accumulate * workers
