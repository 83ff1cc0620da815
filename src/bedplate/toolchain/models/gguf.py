"""GGUF to a Hugging Face folder: weights unpacked to bf16, the tokenizer rebuilt, the chat template kept.

Why not through transformers: its GGUF loader needs one more package (accelerate) and seconds of imports, and its
tokenizer ignores the file's pre-tokenizer (SmolLM's splits digits, so "  12" came out as other tokens). The blocks are
unpacked by the `gguf` package, which the format's authors keep. Only what is ours is here: names, the order of rotary
halves (GGUF interleaves them, checkpoints have them one after the other), and the tokenizer.

Memory: one tensor in fp32 beside the model in bf16.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bedplate.core.errors import IntegrityError, UsageError
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.folder import save_model
from bedplate.toolchain.models.llama import Llama

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
_CONTROL_TOKEN, _USER_TOKEN = 3, 4


def convert_gguf(file: Path, folder: Path, heartbeat: Callable[[], None] = lambda: None) -> None:
    """Write `config.json`, `model.safetensors` (bf16), `tokenizer.json`, `tokenizer_config.json`, `generation_config.json`.

    Args:
        file: A GGUF file of the Llama architecture with a byte-level BPE tokenizer.
        folder: Is made.
        heartbeat: Called after each tensor.

    Raises:
        IntegrityError: The file is cut short, or holds weights that are not numbers.
        UsageError: Another architecture or tokenizer.
    """
    fields, tensors = _read(file)
    config = _config(fields, has_head="output.weight" in tensors)
    with torch.device("meta"):
        model = Llama(config)
    weights = {}
    for name, tensor in tensors.items():
        weights[_checkpoint_name(name)] = _unpack(name, tensor, config)
        heartbeat()
    if config.tie_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    try:
        model.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        raise UsageError("the GGUF does not hold a whole Llama", seen=str(error).splitlines()[-1].strip()) from error
    save_model(model, folder)
    special = {key: fields.get(f"tokenizer.ggml.{key}_token_id") for key in ("bos", "eos", "padding", "unknown")}
    _write_ids(folder, special)
    _write_tokenizer(folder, fields, special)


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from gguf import GGUFReader

    try:
        reader = GGUFReader(file)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        return fields, {tensor.name: tensor for tensor in reader.tensors}
    except (ValueError, IndexError, OSError, KeyError) as error:
        raise IntegrityError("not a whole GGUF file", seen=f"{file}: {error}", next_step="fetch it again") from error


def _config(fields: Mapping[str, Any], *, has_head: bool) -> LlamaConfig:
    if (architecture := fields.get("general.architecture")) != "llama":
        raise UsageError("unknown architecture", seen=architecture, expected="llama")
    if (scaling := fields.get("llama.rope.scaling.type", "none")) != "none":
        raise UsageError("a Llama variant that is not supported", seen=f"RoPE scaling {scaling}", expected="none")
    heads, hidden = fields["llama.attention.head_count"], fields["llama.embedding_length"]
    return LlamaConfig(
        vocab_size=len(fields["tokenizer.ggml.tokens"]),
        hidden_size=hidden,
        intermediate_size=fields["llama.feed_forward_length"],
        num_layers=fields["llama.block_count"],
        num_heads=heads,
        num_kv_heads=fields.get("llama.attention.head_count_kv", heads),
        head_size=fields.get("llama.attention.key_length", hidden // heads),
        max_positions=fields["llama.context_length"],
        rope_theta=float(fields.get("llama.rope.freq_base", 10_000.0)),
        rms_norm_eps=round(float(fields["llama.attention.layer_norm_rms_epsilon"]), 12),
        tie_embeddings=not has_head,
    )


def _checkpoint_name(name: str) -> str:
    match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", name)
    if match is None or match[2] not in _NAMES:
        raise UsageError("the GGUF holds a tensor that a Llama does not have", seen=name, expected=", ".join(_NAMES))
    layer = "" if match[1] is None else f"model.layers.{match[1]}."
    return f"{layer}{_NAMES[match[2]]}.weight"


def _unpack(name: str, tensor: Any, config: LlamaConfig) -> Tensor:
    from gguf.quants import dequantize

    values = dequantize(tensor.data, tensor.tensor_type)
    if not np.isfinite(values).all():
        raise IntegrityError("the weights hold values that are not numbers", seen=name, expected="finite weights")
    if ".attn_q." in name:
        values = _rotary_halves_apart(values, config.num_heads)
    elif ".attn_k." in name:
        values = _rotary_halves_apart(values, config.num_kv_heads)
    return torch.from_numpy(np.array(values, dtype=np.float32)).to(torch.bfloat16)


def _rotary_halves_apart(values: np.ndarray[Any, Any], num_heads: int) -> np.ndarray[Any, Any]:
    """(H * K, D): rows of a head from pairs (0, K/2), (1, K/2 + 1), … to the order 0, 1, …, K - 1."""
    rows, columns = values.shape
    return values.reshape(num_heads, rows // num_heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _write_ids(folder: Path, special: Mapping[str, Any]) -> None:
    ids = {f"{short}_token_id": special[key] for short, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))}
    config = json.loads((folder / "config.json").read_text()) | ids
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n")


def _write_tokenizer(folder: Path, fields: Mapping[str, Any], special: Mapping[str, Any]) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models

    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    if (kind := fields.get("tokenizer.ggml.model")) != "gpt2":
        raise UsageError("a tokenizer that is not supported", seen=kind, expected="gpt2 (byte-level BPE)")
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, fuse_unk=False))
    tokenizer.pre_tokenizer = _pre_tokenizer(str(fields.get("tokenizer.ggml.pre", "default")))
    tokenizer.decoder = decoders.ByteLevel()
    types = fields["tokenizer.ggml.token_type"]
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, types, strict=True)
            if kind == _CONTROL_TOKEN
        ]
    )
    tokenizer.add_tokens([AddedToken(token) for token, kind in zip(tokens, types, strict=True) if kind == _USER_TOKEN])
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    settings = {f"{short}_token": tokens[special[key]] for short, key in named.items() if special[key] is not None}
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    settings["model_max_length"] = fields["llama.context_length"]
    if template := fields.get("tokenizer.chat_template"):
        settings["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def _pre_tokenizer(name: str) -> Any:
    from tokenizers import pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name in ("default", "gpt-2"):
        return byte_level
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    raise UsageError("a pre-tokenizer that is not supported", seen=name, expected="default, gpt-2, smollm")
