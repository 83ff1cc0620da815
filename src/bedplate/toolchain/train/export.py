"""The trained model as a folder that transformers, vLLM and the next step load; complete, or not there."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError

from bedplate.core.errors import ResourcesError
from bedplate.core.files import replacing_folder
from bedplate.core.json import JsonObject
from bedplate.toolchain.models.card import ModelCard, write_card
from bedplate.toolchain.models.derived import keep_from_base
from bedplate.toolchain.models.finite import check_finite
from bedplate.toolchain.models.folder import save_model
from bedplate.toolchain.train.result_folder import TRAINING_FILE, is_result
from bedplate.toolchain.train.trainer import Trainer


def export(trainer: Trainer, base: Path, folder: Path, card: ModelCard, training: JsonObject) -> None:
    """Write weights (bf16), config, the base model's tokenizer and licence, `bedplate.json` and `training.json`.

    Args:
        trainer: After its last step.
        base: Folder of the model that training started from.
        folder: Where the result is to appear; an earlier result there is replaced.
        card: What the model is made from.
        training: Facts of the run, with the collectives of a step.

    Raises:
        UsageError: `folder` exists and is not an earlier result.
        ResourcesError: The disk is full, or cannot be written.
        IntegrityError: A weight is NaN or infinite: the last update did that, which no later loss could show.
    """
    for name, weight in trainer.model.named_parameters():
        check_finite(name, weight)
    try:
        with replacing_folder(folder, is_result) as aside:
            save_model(trainer.model, aside, torch.bfloat16)
            keep_from_base(base, aside)
            write_card(aside, card)
            (aside / TRAINING_FILE).write_text(json.dumps(training, indent=2) + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise ResourcesError(
            "the trained model could not be written",
            seen=f"{folder}: {error}",
            expected="space for the model",
            next_step="free some space and run the same command again: it resumes from the last checkpoint",
        ) from error
