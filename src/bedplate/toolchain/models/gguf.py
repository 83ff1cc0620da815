"""GGUF to a Hugging Face folder: weights unpacked to bf16, the tokenizer rebuilt, the chat template kept.

Why not through transformers: its GGUF loader needs one more package (accelerate) and seconds of imports, and its
tokenizer ignores the file's pre-tokenizer (SmolLM's splits digits, so "  12" came out as other tokens). The blocks are
unpacked by the `gguf` package, which the format's authors keep. Only what is ours is here: names, the order of rotary
halves (GGUF interleaves them, checkpoints have them one after the other), and the tokenizer.

Memory: one tensor in fp32 on top of the model in bf16.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bedplate.core.errors import IntegrityError, UsageError
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.config_keys import ConfigKeys
from bedplate.toolchain.models.finite import check_finite
from bedplate.toolchain.models.folder import save_model, shape_only
from bedplate.toolchain.models.gguf_tokenizer import REFETCH, texts_of, write_tokenizer
from bedplate.toolchain.models.weights import POINTER

_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert_gguf(file: Path, folder: Path, heartbeat: Callable[[], None] = lambda: None) -> None:
    """Write `config.json`, `model.safetensors` (bf16), `tokenizer.json`, `tokenizer_config.json`, `generation_config.json`.

    Args:
        file: A GGUF file of the Llama architecture with a byte-level BPE tokenizer.
        folder: Is made.
        heartbeat: Called after each tensor.

    Raises:
        IntegrityError: The file is damaged or cut short, lacks something, or holds weights that are not numbers.
        UsageError: Another architecture or tokenizer, or a Llama that asks for more than is computed here.
    """
    fields, tensors = _read(file)
    config = _config(fields, file, has_head="output.weight" in tensors)
    _check_fit({_checkpoint_name(name): tensor for name, tensor in tensors.items()}, config)
    weights = {}
    for name, tensor in tensors.items():
        weights[_checkpoint_name(name)] = _unpack(name, tensor, config)
        heartbeat()
    if config.tie_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model = shape_only(config)
    model.load_state_dict(weights, strict=True, assign=True)
    save_model(model, folder)
    write_tokenizer(folder, fields, file)


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from gguf import GGUFReader

    with file.open("rb") as stream:
        if stream.read(len(POINTER)) == POINTER:
            next_step = "run 'git lfs pull' in its folder, or fetch it again"
            raise IntegrityError(f"{file.name} is a Git LFS pointer, not the model", seen=file, next_step=next_step)
    try:
        reader = GGUFReader(file)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        tensors = {tensor.name: tensor for tensor in reader.tensors}
    except Exception as error:  # the package checks little: a damaged file ends in whatever numpy or Python raise on it
        raise IntegrityError("not a complete GGUF file", seen=f"{file}: {error}", next_step=REFETCH) from error
    if (parts := fields.get("split.count", 1)) > 1:
        next_step = "join the parts with llama.cpp's gguf-split, or fetch a file in one piece"
        raise UsageError("a GGUF in several parts is not supported", seen=f"{file.name}: {parts} parts", next_step=next_step)
    return fields, tensors


def _config(fields: Mapping[str, Any], file: Path, *, has_head: bool) -> LlamaConfig:
    """The shape; a key of the architecture that is not read, and not known to be harmless, is refused as in `config.json`."""
    if (architecture := fields.get("general.architecture")) != "llama":
        raise UsageError("unknown architecture", seen=architecture, expected="llama")
    ours = {name.removeprefix("llama."): value for name, value in fields.items() if name.startswith("llama.")}
    keys = ConfigKeys(ours, f"{file.name}: llama")
    heads, hidden = keys.positive_int("attention.head_count"), keys.positive_int("embedding_length")
    head_size = keys.positive_int("attention.key_length", max(1, hidden // heads))
    vocabulary = len(texts_of(fields, "tokenizer.ggml.tokens", file))
    for key, accepted in {
        "attention.value_length": (head_size,),
        "rope.dimension_count": (head_size,),
        "rope.scaling.type": ("none",),
        "vocab_size": (vocabulary,),
        "expert_count": (0,),
        "expert_used_count": (0,),
        "use_parallel_residual": (False,),
        "tensor_data_layout": (),
    }.items():
        keys.require(key, accepted)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=keys.positive_int("feed_forward_length"),
        num_layers=keys.positive_int("block_count"),
        num_heads=heads,
        num_kv_heads=keys.positive_int("attention.head_count_kv", heads),
        head_size=head_size,
        max_positions=keys.positive_int("context_length"),
        rope_theta=keys.positive_float("rope.freq_base", 10_000.0),
        rms_norm_eps=round(keys.positive_float("attention.layer_norm_rms_epsilon"), 12),
        tie_embeddings=not has_head,
    )
    keys.finish(harmless=())
    return config


def _checkpoint_name(name: str) -> str:
    if name == "rope_freqs.weight":
        raise UsageError("scaled RoPE is not supported", seen=name, expected="a model without it")
    match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", name)
    if match is None or match[2] not in _NAMES:
        raise UsageError("the GGUF contains a tensor that a Llama does not have", seen=name, expected=", ".join(_NAMES))
    layer = "" if match[1] is None else f"model.layers.{match[1]}."
    return f"{layer}{_NAMES[match[2]]}.weight"


def _check_fit(tensors: Mapping[str, Any], config: LlamaConfig) -> None:
    """Refuse tensors, by their names in a checkpoint, that are not the config's: a damaged one may describe any size.

    GGUF gives the innermost dimension first.
    """
    misfit = "the weights do not match the metadata of the GGUF"
    if config.num_layers > len(tensors):
        raise IntegrityError(misfit, seen=f"{len(tensors)} tensors, {config.num_layers} layers", next_step=REFETCH)
    expected = config.tensor_shapes()
    if config.tie_embeddings:
        del expected["lm_head.weight"]
    for name in expected.keys() | tensors.keys():
        shape = tuple(int(size) for size in reversed(tensors[name].shape)) if name in tensors else None
        if shape != expected.get(name):
            seen = f"'{name}' is {shape or 'missing'}"
            raise IntegrityError(misfit, seen=seen, expected=expected.get(name, "no such tensor"), next_step=REFETCH)


def _unpack(name: str, tensor: Any, config: LlamaConfig) -> Tensor:
    from gguf.quants import dequantize

    try:
        values = dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        raise UsageError(
            "this quantisation cannot be unpacked",
            seen=f"{name}: {tensor.tensor_type.name}",
            next_step="fetch the model in another quantisation",
        ) from error
    if ".attn_q." in name:
        values = _rotary_halves_apart(values, config.num_heads)
    elif ".attn_k." in name:
        values = _rotary_halves_apart(values, config.num_kv_heads)
    weights = torch.from_numpy(np.array(values, dtype=np.float32)).to(torch.bfloat16)
    check_finite(name, weights)
    return weights


def _rotary_halves_apart(values: np.ndarray[Any, Any], num_heads: int) -> np.ndarray[Any, Any]:
    """(H * K, D): rows of a head from pairs (0, K/2), (1, K/2 + 1), … to the order 0, 1, …, K - 1."""
    rows, columns = values.shape
    return values.reshape(num_heads, rows // num_heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
