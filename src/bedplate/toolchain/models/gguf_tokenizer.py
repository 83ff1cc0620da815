"""The tokenizer of a GGUF file as the files of a Hugging Face folder: vocabulary, merges, special tokens, chat template.

Only byte-level BPE. Why not through transformers: its conversion ignores the file's pre-tokenizer (see `gguf.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bedplate.core.errors import IntegrityError, UsageError

REFETCH = "fetch it again"
_NORMAL_TOKEN, _CONTROL_TOKEN, _USER_TOKEN = 1, 3, 4


def write_tokenizer(folder: Path, fields: Mapping[str, Any], file: Path) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `generation_config.json`, and the token ids into `config.json`.

    Args:
        folder: Has a `config.json`.
        fields: Metadata of the GGUF.
        file: Its name, for errors.

    Raises:
        UsageError: A tokenizer of another kind.
        IntegrityError: Its parts do not match.
    """
    special = _special_ids(fields, file)
    _write_ids(folder, special)
    _write_vocabulary(folder, fields, special, file)
    _write_settings(folder, fields, special)


def texts_of(fields: Mapping[str, Any], name: str, file: Path) -> list[str]:
    """A list of texts in the metadata; IntegrityError where it is missing or something else."""
    value = fields.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise IntegrityError(f"{file.name} lacks '{name}'", seen=type(value).__name__, expected="texts", next_step=REFETCH)
    return value


def _special_ids(fields: Mapping[str, Any], file: Path) -> dict[str, int | None]:
    """Token ids of `bos`, `eos`, `padding` and `unknown`, None where the file names none."""
    count = len(texts_of(fields, "tokenizer.ggml.tokens", file))
    ids = {key: fields.get(f"tokenizer.ggml.{key}_token_id") for key in ("bos", "eos", "padding", "unknown")}
    for key, token in ids.items():
        if token is not None and not (isinstance(token, int) and 0 <= token < count):
            what = f"{file.name}: the {key} token is not in the vocabulary"
            raise IntegrityError(what, seen=token, expected=f"0 to {count - 1}", next_step=REFETCH)
    return ids


def _write_ids(folder: Path, special: Mapping[str, Any]) -> None:
    ids = {f"{short}_token_id": special[key] for short, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | ids
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n", encoding="utf-8")


def _write_vocabulary(folder: Path, fields: Mapping[str, Any], special: Mapping[str, int | None], file: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models

    if (kind := fields.get("tokenizer.ggml.model")) != "gpt2":
        raise UsageError("this tokenizer is not supported", seen=kind, expected="gpt2 (byte-level BPE)")
    tokens, merges = texts_of(fields, "tokenizer.ggml.tokens", file), texts_of(fields, "tokenizer.ggml.merges", file)
    types = fields.get("tokenizer.ggml.token_type") or [_NORMAL_TOKEN] * len(tokens)
    if len(types) != len(tokens):
        raise IntegrityError(
            f"{file.name}: not every token has a type", seen=len(types), expected=len(tokens), next_step=REFETCH
        )
    vocabulary = {token: number for number, token in enumerate(tokens)}
    try:
        pairs = [(left, right) for left, right in (merge.split(" ") for merge in merges)]
        tokenizer = Tokenizer(models.BPE(vocabulary, pairs, fuse_unk=False))
    except Exception as error:  # the library raises nothing narrower
        raise IntegrityError(f"{file.name}: the merges do not match the tokens", seen=error, next_step=REFETCH) from error
    tokenizer.pre_tokenizer = _pre_tokenizer(str(fields.get("tokenizer.ggml.pre", "default")))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, types, strict=True)
            if kind == _CONTROL_TOKEN
        ]
    )
    tokenizer.add_tokens([AddedToken(token) for token, kind in zip(tokens, types, strict=True) if kind == _USER_TOKEN])
    if (template := _template(fields, tokens, special)) is not None:
        tokenizer.post_processor = template
    tokenizer.save(str(folder / "tokenizer.json"))


def _write_settings(folder: Path, fields: Mapping[str, Any], special: Mapping[str, int | None]) -> None:
    tokens = fields["tokenizer.ggml.tokens"]
    named = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    settings: dict[str, Any] = {
        f"{short}_token": tokens[token] for short, key in named.items() if (token := special[key]) is not None
    }
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    settings["model_max_length"] = fields["llama.context_length"]
    if template := fields.get("tokenizer.chat_template"):
        settings["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _template(fields: Mapping[str, Any], tokens: list[str], special: Mapping[str, int | None]) -> Any:
    """Puts BOS before and EOS after a text where the file says so; None: neither."""
    from tokenizers import processors

    wanted = {key: special[key] for key in ("bos", "eos") if fields.get(f"tokenizer.ggml.add_{key}_token")}
    ids = {tokens[token]: token for token in wanted.values() if token is not None}
    if not ids:
        return None
    around = {key: tokens[token] if (token := wanted.get(key)) is not None else "" for key in ("bos", "eos")}
    parts = [around["bos"], "$A", around["eos"]]
    return processors.TemplateProcessing(single=[part for part in parts if part], special_tokens=list(ids.items()))


def _pre_tokenizer(name: str) -> Any:
    from tokenizers import pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name in ("default", "gpt-2"):
        return byte_level
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    raise UsageError("this pre-tokenizer is not supported", seen=name, expected="default, gpt-2, smollm")
