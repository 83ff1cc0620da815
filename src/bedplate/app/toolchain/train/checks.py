"""What can be known to fail before minutes are spent: the model and the data. Reads headers and shards; no torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.core.errors import IntegrityError, NotFoundError, UsageError
from bedplate.toolchain.data.shards import TokenShards
from bedplate.toolchain.data.tokenizer import tokenizer_digest
from bedplate.toolchain.train.footprint import ModelSize
from bedplate.toolchain.train.settings import TrainSettings

_LONGEST_HEADER_BYTES = 100_000_000
"""What the safetensors format allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What the folder's headers say."""

    size: ModelSize
    max_positions: int


def read_model_facts(folder: Path) -> ModelFacts:
    """Shape and size of a Hugging Face folder.

    Raises:
        NotFoundError: No config or no weights.
        UsageError: The weights are compressed.
        IntegrityError: A file of weights has no header.
    """
    file, weights = folder / "config.json", sorted(folder.glob("*.safetensors"))
    if not file.is_file() or not weights:
        raise NotFoundError("not a model folder", seen=folder, expected="a folder with config.json and *.safetensors")
    config: dict[str, Any] = json.loads(file.read_text())
    if config.get("quantization_config"):
        raise UsageError("a compressed model cannot be trained", seen=folder, expected="plain weights", next_step="train first")
    shapes = {name: shape for item in weights for name, shape in _shapes(item).items()}
    if config.get("tie_word_embeddings"):
        shapes.pop("lm_head.weight", None)
    size = ModelSize(
        num_parameters=sum(math.prod(shape) for shape in shapes.values()),
        vocab_size=config["vocab_size"],
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        num_layers=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
    )
    return ModelFacts(size=size, max_positions=config["max_position_embeddings"])


def check_data(settings: TrainSettings, model: ModelFacts) -> None:
    """The shards must be whole, long enough, and made with this model's tokenizer.

    Raises:
        NotFoundError: No such folder or split.
        IntegrityError: A shard is damaged.
        UsageError: Too little text, another tokenizer, a token that the model does not know, or a sequence longer than its
            context.
    """
    if settings.sequence > model.max_positions:
        raise UsageError(
            "'sequence' is longer than the model's context",
            seen=settings.sequence,
            expected=f"at most {model.max_positions}",
            next_step=f"set 'sequence: {model.max_positions}' or less",
        )
    for split in ["train", *(["validation"] if settings.evaluate.tokens else [])]:
        shards = TokenShards(Path(settings.data), split)
        _check_tokenizer(shards, Path(settings.model))
        if split == "train":
            shards.num_windows(settings.sequence)
        largest = int(shards.tokens().max(initial=0))
        if largest >= model.size.vocab_size:
            raise _another_tokenizer(f"token {largest} in {split}", f"tokens below {model.size.vocab_size}")


def _check_tokenizer(shards: TokenShards, model: Path) -> None:
    """Hold the tokenizer that made the shards to the model's, where both are known: equal sizes say nothing."""
    made_with = shards.manifest.get("tokenizer_digest")
    if made_with is None or not (model / "tokenizer.json").is_file():
        return
    if made_with != (ours := tokenizer_digest(model)):
        raise _another_tokenizer(f"tokenizer {made_with[:12]} in {shards.folder}", f"tokenizer {ours[:12]} of {model}")


def _another_tokenizer(seen: str, expected: str) -> UsageError:
    return UsageError(
        "the data was made with another tokenizer than this model's",
        seen=seen,
        expected=expected,
        next_step="give 'data' the corpus (the folder that data.text makes): it is tokenised for the model that is trained",
    )


def _shapes(file: Path) -> dict[str, list[int]]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length <= _LONGEST_HEADER_BYTES else b""
    try:
        entries = json.loads(header)
        return {name: entry["shape"] for name, entry in entries.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(
            "a file of weights has no header",
            seen=file,
            expected="a safetensors file",
            next_step="fetch it again; a Git LFS pointer is a text of three lines: run 'git lfs pull'",
        ) from error
