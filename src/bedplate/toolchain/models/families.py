"""Model families by `model_type`: how each reads its config, and which file computes it.

To add a family: a config record with `from_json` like `LlamaConfig`, a file with the decoder, a line in `FAMILIES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.core.errors import IntegrityError, NotFoundError, UsageError, did_you_mean
from bedplate.toolchain.models.config import LlamaConfig, ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that share the keys of their config and the code that computes them."""

    read_config: Callable[[Mapping[str, Any]], ModelConfig]
    """From the content of `config.json`; raises where it asks for more than the implementation computes."""
    implementation: str
    """`module:class` of the decoder, a name so that reading a config does not import torch."""


FAMILIES: Mapping[str, Family] = {
    "llama": Family(read_config=LlamaConfig.from_json, implementation="bedplate.toolchain.models.llama:Llama"),
}


def family_of(data: Mapping[str, Any]) -> Family:
    """The family of a `config.json`.

    Raises:
        UsageError: None that is known here; names the nearest.
    """
    name = data.get("model_type")
    if not isinstance(name, str) or name not in FAMILIES:
        next_step = did_you_mean(str(name), FAMILIES, "use a model of a supported family")
        raise UsageError("this model family is not supported", seen=name, expected=", ".join(FAMILIES), next_step=next_step)
    return FAMILIES[name]


def read_config(folder: Path) -> ModelConfig:
    """What the model in `folder` computes.

    Raises:
        NotFoundError: It has no `config.json`.
        IntegrityError: The file is damaged, or contradicts itself.
        UsageError: Another family, or a model of the family that asks for more than is computed here.
    """
    data = read_config_json(folder)
    return family_of(data).read_config(data)


def read_config_json(folder: Path) -> dict[str, Any]:
    """The content of `config.json`, unjudged.

    Raises:
        NotFoundError: There is none.
        IntegrityError: It is not a JSON object.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise NotFoundError("not a model folder", seen=folder, expected="a folder with config.json and *.safetensors")
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError(
            "config.json cannot be read", seen=f"{file}: {error}", expected="JSON", next_step="fetch the model again"
        ) from error
    if not isinstance(data, dict):
        raise IntegrityError("config.json is not an object", seen=file, expected="{…}", next_step="fetch the model again")
    return data
