"""A model folder as Hugging Face's programs lay it out: load a decoder from one, save a decoder as one."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bedplate.core.errors import IntegrityError, UsageError
from bedplate.toolchain.models.config import ModelConfig
from bedplate.toolchain.models.families import FAMILIES
from bedplate.toolchain.models.finite import check_finite
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.models.quantization import Storage, quantization_config
from bedplate.toolchain.models.quantized import pack, storage_in_memory, unpack, use_int8_modules
from bedplate.toolchain.models.stored import inspect_model
from bedplate.toolchain.models.weights import SINGLE, StoredTensor

ALIGNMENT = 64


def shape_only(config: ModelConfig) -> Llama:
    """The decoder on the meta device: shapes without memory, to be given its weights.

    Initialising a meta tensor would import torch's decompositions, 800 modules and a second at every worker start, so
    the layers' own initialisation is left out. Not thread-safe: no other model may be built at the same time.
    """
    module, _, name = FAMILIES[config.model_type].implementation.partition(":")
    with _without_initialisation(), torch.device("meta"):
        model: Llama = getattr(importlib.import_module(module), name)(config)
    return model


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> Llama:
    """A decoder with the weights of a Hugging Face folder.

    Args:
        folder: Plain weights, or int8 ones as `quantized.py` writes them; the caller need not care which.
        dtype: Of the weights, and of the scales where weights are int8.

    Raises:
        NotFoundError: No config or no weights.
        UsageError: Weights that do not fit the config, another family, or another quantisation.
        IntegrityError: A file is missing, damaged, or contradicts another; or a weight is NaN or infinite.
    """
    stored = inspect_model(folder)
    model = shape_only(stored.config)
    if not stored.is_plain:
        with torch.device("meta"):
            use_int8_modules(model, stored.storage)
    weights = _unpacked(dict(_read(stored.tensors, dtype)), stored.config)
    if stored.config.tie_embeddings:
        _tie(weights, model, folder)
    model.load_state_dict(weights, strict=True, assign=True)
    if stored.config.tie_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model


def save_model(model: Llama, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write `config.json` and `model.safetensors` that transformers and vLLM load; tied weights are written once.

    Int8 weights stay int8 (`dtype` is that of everything else), and the config says so.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    storage = storage_in_memory(model)
    weights = {
        name: (tensor.detach().to(dtype) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    if model.config.tie_embeddings:
        weights.pop("lm_head.weight")
        if (scale := weights.get("lm_head.weight_scale")) is not None:  # transformers ties `weight` and nothing else
            weights["lm_head.weight_scale"] = scale.clone()  # the format does not allow two names for one memory
    if storage is Storage.INT8_LINEAR:
        weights = dict(_packed(weights))
    save_file(weights, folder / SINGLE, metadata={"format": "pt"})
    (folder / SINGLE).chmod(0o644)  # the library leaves it unreadable for others
    name = str(dtype).removeprefix("torch.")
    config = model.config.as_json() | {"dtype": name, "torch_dtype": name}  # transformers 5 reads the first, 4 the second
    if (quantization := quantization_config(storage)) is not None:
        config["quantization_config"] = quantization
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _packed(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in weights.items():
        if tensor.dtype is torch.int8:
            yield f"{name}_packed", pack(tensor)
            yield f"{name}_shape", torch.tensor(tensor.shape)
        else:
            yield name, tensor


def _unpacked(weights: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """`weights` with packed matrices unpacked, in place."""
    for name, shape in config.tensor_shapes().items():
        if (packed := weights.pop(f"{name}_packed", None)) is not None:
            stated = weights.pop(f"{name}_shape").tolist()
            if stated != list(shape):
                raise IntegrityError(f"'{name}_shape' is wrong", seen=stated, expected=list(shape))
            weights[name] = _aligned(unpack(packed, shape[1]), torch.int8)
    return weights


def _read(stored: Mapping[str, StoredTensor], dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    for file in sorted({tensor.file for tensor in stored.values()}):
        try:
            with safe_open(file, framework="pt") as stream:
                for name in (name for name, tensor in stored.items() if tensor.file == file):
                    tensor = _aligned(stream.get_tensor(name), dtype)
                    check_finite(name, tensor, file)
                    yield name, tensor
        except SafetensorError as error:
            seen = f"{file}: {error}"
            raise IntegrityError(f"{file.name} is damaged", seen=seen, next_step="fetch the model again") from error


def _aligned(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """In `dtype`, at the start of a cache line: a file places tensors anywhere, and some kernels crash without."""
    converted = tensor.to(dtype) if tensor.is_floating_point() else tensor
    return converted if converted.data_ptr() % ALIGNMENT == 0 else converted.clone()


def _tie(weights: dict[str, Tensor], model: Llama, folder: Path) -> None:
    """Make the head the embedding table; a stored head that is something else is refused, not dropped."""
    for name in model.lm_head.state_dict():
        table = weights[f"model.embed_tokens.{name}"]
        if not torch.equal(weights.setdefault(f"lm_head.{name}", table), table):
            raise UsageError(
                f"config.json ties the embeddings, but 'lm_head.{name}' is not 'model.embed_tokens.{name}'",
                seen=folder,
                expected="one table, or tie_word_embeddings: false",
                next_step="set tie_word_embeddings to false if the model was trained with a head of its own",
            )
        weights[f"lm_head.{name}"] = table


@contextmanager
def _without_initialisation() -> Iterator[None]:
    layers: tuple[Any, ...] = (nn.Linear, nn.Embedding)
    initialisers = [layer.reset_parameters for layer in layers]
    try:
        for layer in layers:
            layer.reset_parameters = lambda self: None
        yield
    finally:
        for layer, initialise in zip(layers, initialisers, strict=True):
            layer.reset_parameters = initialise
