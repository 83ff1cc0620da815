"""What can be known to fail before minutes are spent: the model, the data, the memory. Reads headers only; no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.errors import ResourcesError, UsageError
from bedplate.core.units import format_bytes
from bedplate.toolchain.data.shards import TokenShards
from bedplate.toolchain.models.stored import inspect_model
from bedplate.toolchain.train.settings import CheckpointPlace, Precision, TrainSettings
from bedplate.toolchain.train.slices import share_bytes

_INTERPRETER_BYTES = 350_000_000
"""What a worker holds before the model: Python, torch, gloo."""
_LONGEST_BLOCKS = 2048
"""Tokens up to which attention keeps its weights (`toolchain/train/attention.py`)."""
_LOSS_CHUNK_TOKENS = 256
"""Tokens whose logits exist at once, in fp32 and twice in bf16 (`toolchain/train/loss.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What the folder's headers say."""

    num_parameters: int
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    max_positions: int


def read_model_facts(folder: Path) -> ModelFacts:
    """Shape and size of a Hugging Face folder.

    Raises:
        UsageError: The weights are compressed.
        BedplateError: As `inspect_model`.
    """
    stored = inspect_model(folder)
    if stored.is_int8:
        raise UsageError("a compressed model cannot be trained", seen=folder, expected="plain weights", next_step="train first")
    config = stored.config
    return ModelFacts(
        num_parameters=config.num_parameters,
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        max_positions=config.max_positions,
    )


def check_data(settings: TrainSettings, model: ModelFacts) -> None:
    """The shards must be whole, long enough, and made with a tokenizer of this model.

    Raises:
        NotFoundError: No such folder or split.
        IntegrityError: A shard is damaged.
        UsageError: Too little text, a token that the model does not know, or a sequence longer than its context.
    """
    if settings.sequence > model.max_positions:
        raise UsageError(
            "'sequence' is longer than the model's context",
            seen=settings.sequence,
            expected=f"at most {model.max_positions}",
            next_step=f"set 'sequence: {model.max_positions}' or less",
        )
    splits = ["train", *(["validation"] if settings.evaluate.tokens else [])]
    for split in splits:
        shards = TokenShards(Path(settings.data), split)
        if split == "train":
            shards.num_windows(settings.sequence)
        largest = int(shards.tokens().max(initial=0))
        if largest >= model.vocab_size:
            raise UsageError(
                "the data was made with another tokenizer than this model's",
                seen=f"token {largest} in {split}",
                expected=f"tokens below {model.vocab_size}",
                next_step="tokenise the text with the tokenizer in the model's folder",
            )


def memory_needed_bytes(settings: TrainSettings, model: ModelFacts, world_size: int) -> int:
    """Memory of all workers and checkpoints together, from above.

    Per worker: weights, fp32 gradients, a share of master weights and moments, activations of one micro-batch; and two
    generations of every share in memory files. For SmolLM2-135M alone in bf16 without memory files, a worker peaked at
    3.89 GB with 512 tokens and 5.16 GB with 1,024; this says 3.98 and 5.49.
    """
    itemsize = 2 if settings.precision is Precision.BF16 else 4
    share = share_bytes(model.num_parameters, world_size)
    generations = 2 if settings.checkpoint.in_ is CheckpointPlace.MEMORY else 0
    tokens = settings.micro_batch * settings.sequence
    kept = (36 * model.hidden_size + 5 * model.intermediate_size) * itemsize
    kept += 3 * model.num_heads * min(settings.sequence, _LONGEST_BLOCKS)  # half of its attention weights, fp32 and bf16
    activations = tokens * model.num_layers * kept + _LOSS_CHUNK_TOKENS * model.vocab_size * 10
    worker = _INTERPRETER_BYTES + model.num_parameters * (itemsize + 4) + share * (1 + generations) + activations
    return worker * world_size


def check_memory(settings: TrainSettings, model: ModelFacts, world_size: int, available_bytes: int) -> None:
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
        f"training {model.num_parameters / 1e6:.0f}M parameters with {world_size} workers does not fit the memory",
        seen=f"{format_bytes(available_bytes)} available",
        expected=f"about {format_bytes(needed)}",
        next_step=hint,
    )
