"""How much memory and disk a training run takes, known before it starts. No torch.

It models what `flat.py`, `optimiser.py`, `attention.py`, `loss.py` and the checkpoint stores allocate, and takes their own
constants. For SmolLM2-135M alone in bf16 without memory files, a worker peaked at 3.89 GB with sequences of 512 tokens and
at 5.16 GB with 1,024; the model gives 3.98 and 5.49.
"""

from __future__ import annotations

import dataclasses

from bedplate.core.errors import ResourcesError
from bedplate.core.units import format_bytes
from bedplate.toolchain.models.config import ModelConfig
from bedplate.toolchain.train.settings import CheckpointPlace, Precision, TrainSettings
from bedplate.toolchain.train.slices import share_bytes
from bedplate.toolchain.train.tiles import LOSS_CHUNK_TOKENS, MAX_BLOCKED_TOKENS

_INTERPRETER_BYTES = 350_000_000
"""What a worker holds before the model: Python, torch, gloo."""
_MEMORY_GENERATIONS = 2
"""Checkpoints of each rank in its memory file."""
_DISK_GENERATIONS = 3
"""Checkpoints on disk: two that are kept, and one that is being written."""
_HIDDEN_KEPT, _FEED_FORWARD_KEPT = 36, 5
"""Numbers per token and layer that the backward pass needs, in hidden sizes and in feed-forward sizes."""


def memory_needed_bytes(settings: TrainSettings, model: ModelConfig, world_size: int) -> int:
    """Memory of all workers and checkpoints together, from above.

    Per worker: weights, fp32 gradients, a share of master weights and moments, activations of one micro-batch; and two
    generations of every share in memory files.
    """
    itemsize = 2 if settings.precision is Precision.BF16 else 4
    share = share_bytes(model.num_parameters, world_size)
    generations = _MEMORY_GENERATIONS if settings.checkpoint.in_ is CheckpointPlace.MEMORY else 0
    activations = _activation_bytes(settings, model, itemsize)
    worker = _INTERPRETER_BYTES + model.num_parameters * (itemsize + 4) + share * (1 + generations) + activations
    return worker * world_size


def _activation_bytes(settings: TrainSettings, model: ModelConfig, itemsize: int) -> int:
    tokens = settings.micro_batch * settings.sequence
    kept = (_HIDDEN_KEPT * model.hidden_size + _FEED_FORWARD_KEPT * model.intermediate_size) * itemsize
    kept += 3 * model.num_heads * min(settings.sequence, MAX_BLOCKED_TOKENS)  # half of its attention weights, fp32 and bf16
    logits = LOSS_CHUNK_TOKENS * model.vocab_size * 10  # fp32, and twice in bf16
    return tokens * model.num_layers * kept + logits


def checkpoint_disk_bytes(model: ModelConfig, world_size: int) -> int:
    """Disk that the checkpoints of all ranks take at most, one that is being written included."""
    return _DISK_GENERATIONS * world_size * share_bytes(model.num_parameters, world_size)


def check_memory(settings: TrainSettings, model: ModelConfig, world_size: int, available_bytes: int) -> None:
    """Whether the run fits.

    Raises:
        ResourcesError: It does not; the text says what would.
    """
    needed = memory_needed_bytes(settings, model, world_size)
    if needed <= available_bytes:
        return
    for_sequence = needed - memory_needed_bytes(dataclasses.replace(settings, sequence=2), model, world_size)
    largest = int(model.num_parameters * available_bytes / needed)
    shorter = max(0, int(settings.sequence * (1 - (needed - available_bytes) / for_sequence))) if for_sequence else 0
    hint = (
        f"sequence: {shorter} with micro_batch: {settings.micro_batch} would fit"
        if shorter >= 2
        else (f"a model of about {largest / 1e6:.0f}M parameters would fit, or this one with fewer workers")
    )
    raise ResourcesError(
        f"training {model.num_parameters / 1e6:.0f}M parameters with {world_size} workers does not fit in memory",
        seen=f"{format_bytes(available_bytes)} available",
        expected=f"about {format_bytes(needed)}",
        next_step=hint,
    )
