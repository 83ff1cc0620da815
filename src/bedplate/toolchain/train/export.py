"""The trained model as a folder that transformers, vLLM and the next step load; whole, or not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from bedplate.core.json import JsonObject
from bedplate.toolchain.models.folder import save_model
from bedplate.toolchain.train.trainer import Trainer

_COPIED = (
    "tokenizer*",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "generation_config.json",
    "chat_template*",
)


def export(trainer: Trainer, base: Path, folder: Path, lineage: JsonObject, training: JsonObject) -> None:
    """Write weights (bf16), config, the base model's tokenizer, `bedplate.json` (lineage) and `training.json`.

    Args:
        trainer: After its last step.
        base: Folder of the model that training started from.
        folder: Where the result is to appear; what was there is replaced.
        lineage: What the model is made of.
        training: Facts of the run, with the collectives of a step.
    """
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    save_model(trainer.model, aside, torch.bfloat16)
    _keep_base_config(base, aside)
    for pattern in _COPIED:
        for file in base.glob(pattern):
            shutil.copyfile(file, aside / file.name)
    (aside / "bedplate.json").write_text(json.dumps(lineage, indent=2) + "\n")
    (aside / "training.json").write_text(json.dumps(training, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def _keep_base_config(base: Path, folder: Path) -> None:
    """What the base config says beyond the shape (special tokens) stays."""
    file = folder / "config.json"
    config = json.loads((base / "config.json").read_text()) | json.loads(file.read_text())
    file.write_text(json.dumps(config, indent=2) + "\n")
