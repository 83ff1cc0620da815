"""What a model that was made from another keeps of it: tokenizer, chat template, sampling defaults, licence, token ids."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bedplate.core.files import write_file
from bedplate.toolchain.models.families import read_config_json

_KEPT = (
    *("tokenizer*", "special_tokens_map.json", "vocab.json", "merges.txt", "added_tokens.json", "*.tiktoken", "tekken.json"),
    *("spiece.model", "sentencepiece*.model", "chat_template*", "additional_chat_templates/*", "generation_config.json"),
    *("LICEN[CS]E*", "licen[cs]e*", "NOTICE*", "USE_POLICY*"),
)
_OF_THE_WEIGHTS = ("dtype", "torch_dtype", "quantization_config")
"""Keys that say how the base's weights are stored, which its successor's are not."""


def keep_from_base(base: Path, folder: Path) -> None:
    """Complete `folder`, which holds weights and config of a model made from the one in `base`.

    Files that describe the base's weights (index, shards, model card) are not taken over. Of its config, what the new one
    does not say itself stays: special tokens above all.
    """
    for file in files_to_keep(base):
        target = folder / file.relative_to(base)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, target)
    kept = {key: value for key, value in read_config_json(base).items() if key not in _OF_THE_WEIGHTS}
    write_file(folder / "config.json", json.dumps(kept | read_config_json(folder), indent=2, ensure_ascii=False) + "\n")


def files_to_keep(base: Path) -> list[Path]:
    """The files of `base` that `keep_from_base` copies."""
    return sorted({file for pattern in _KEPT for file in base.glob(pattern) if file.is_file()})
