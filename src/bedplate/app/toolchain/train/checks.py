"""Checks that can fail before minutes are spent: the model and the data. Reads headers and shards; no torch."""

from __future__ import annotations

from pathlib import Path

from bedplate.core.errors import UsageError
from bedplate.core.settings import about_setting
from bedplate.toolchain.data.shards import TokenShards
from bedplate.toolchain.data.tokenizer import tokenizer_digest
from bedplate.toolchain.models.config import ModelConfig
from bedplate.toolchain.models.stored import inspect_model
from bedplate.toolchain.models.tokenizer import load_tokenizer
from bedplate.toolchain.train.settings import TrainSettings


def read_trainable(folder: Path) -> ModelConfig:
    """The config of a model folder whose weights can be trained.

    Raises:
        UsageError: The weights are compressed.
        BedplateError: As `inspect_model`.
    """
    stored = inspect_model(folder)
    if not stored.is_plain:
        raise UsageError("a compressed model cannot be trained", seen=folder, expected="plain weights", next_step="train first")
    return stored.config


def check_drill(settings: TrainSettings, workers: int) -> None:
    """UsageError where the drill would come after the last step, and nothing would be measured."""
    num_steps = settings.num_steps(workers)
    if settings.drill is not None and settings.drill.at_step > num_steps:
        with about_setting("drill", "at_step"):
            raise UsageError("the drill comes after the last step", seen=settings.drill.at_step, expected=f"1 to {num_steps}")


def check_sequence(settings: TrainSettings, model: ModelConfig) -> None:
    """UsageError where a training sequence is longer than the model's context."""
    if settings.sequence > model.max_positions:
        with about_setting("sequence"):
            raise UsageError(
                "'sequence' is longer than the model's context",
                seen=settings.sequence,
                expected=f"at most {model.max_positions}",
                next_step=f"set 'sequence: {model.max_positions}' or less",
            )


def check_data(settings: TrainSettings, model: ModelConfig) -> None:
    """The shards must be intact, long enough, and made with this model's tokenizer.

    Raises:
        NotFoundError: No such folder or split.
        IntegrityError: A shard is damaged.
        UsageError: Too little text, another tokenizer, a token that the model does not know, or a sequence longer than its
            context.
    """
    check_sequence(settings, model)
    for split in ["train", *(["validation"] if settings.evaluate.tokens else [])]:
        shards = TokenShards(Path(settings.data), split)
        is_ours = _check_tokenizer(shards, Path(settings.model))
        if split == "train":
            shards.num_windows(settings.sequence)
        largest = int(shards.tokens().max(initial=0))
        if largest >= model.vocab_size:
            if is_ours:
                load_tokenizer(Path(settings.model))  # which names the token that it should not have
            raise _another_tokenizer(f"token {largest} in {split}", f"tokens below {model.vocab_size}")


def _check_tokenizer(shards: TokenShards, model: Path) -> bool:
    """Hold the tokenizer that made the shards to the model's; False where either is not known: equal sizes say nothing."""
    made_with = shards.manifest.get("tokenizer_digest")
    if made_with is None or not (model / "tokenizer.json").is_file():
        return False
    if made_with != (ours := tokenizer_digest(model)):
        raise _another_tokenizer(f"tokenizer {made_with[:12]} in {shards.folder}", f"tokenizer {ours[:12]} of {model}")
    return True


def _another_tokenizer(seen: str, expected: str) -> UsageError:
    return UsageError(
        "the data was made with another tokenizer than this model's",
        seen=seen,
        expected=expected,
        next_step="give 'data' the corpus (the folder that data.text makes): it is tokenised for the model that is trained",
    )
