"""A closed reading of `config.json`: a key is read, required to have the value that is computed here, or known to be harmless.

Everything else refuses by name. An unread key that changes the mathematics (a scaled RoPE, a bias, another activation) gives
fluent but wrong text, which goes unnoticed; a refusal is noticed immediately and costs one line in a list.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bedplate.core.errors import IntegrityError, UsageError

HARMLESS = frozenset(
    (
        # where the file comes from
        *("model_type", "transformers_version", "_name_or_path", "name_or_path", "_commit_hash"),
        *("is_llama_config", "unsloth_version", "unsloth_fixed", "transformers.js_config"),
        # types and kernels
        *("dtype", "torch_dtype", "quantization_config", "use_bfloat16", "torchscript", "pretraining_tp"),
        *("chunk_size_feed_forward", "_attn_implementation", "_attn_implementation_autoset", "attn_implementation"),
        *("_attn_implementation_internal", "_flash_attn_2_enabled", "use_flash_attention", "low_cpu_mem_usage"),
        # tokens and how to sample them
        *("pad_token_id", "unk_token_id", "sep_token_id", "tokenizer_class"),
        *("decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "begin_suppress_tokens", "suppress_tokens"),
        *("max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty"),
        *("temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size"),
        *("encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "exponential_decay_length_penalty"),
        *("remove_invalid_values", "output_scores", "return_dict_in_generate", "return_dict", "max_new_tokens"),
        # training, and what a class of another purpose reads
        *("initializer_range", "use_cache", "output_attentions", "output_hidden_states", "gradient_checkpointing"),
        *("id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "task_specific_params", "prefix"),
        *("tie_encoder_decoder", "cross_attention_hidden_size", "tf_legacy_loss"),
        # lengths that other programs take from here
        *("max_sequence_length", "model_max_length", "original_max_position_embeddings"),
    )
)
"""Keys that cannot change a logit of a decoder. Add one only when this is known for certain."""


class ConfigKeys:
    """Typed reading of one `config.json`; records which keys were read, and refuses the others.

    null and a missing key are the same thing.
    """

    def __init__(self, data: Mapping[str, Any], where: str = "config.json") -> None:
        self._data, self._where, self._known = data, where, set[str]()

    def positive_int(self, key: str, default: int | None = None) -> int:
        """A whole number above zero.

        Raises:
            IntegrityError: It is missing without a default, or is something else.
        """
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise self._wrong(key, value, "a whole number above 0")
        return value

    def positive_float(self, key: str, default: float | None = None) -> float:
        """A finite number above zero; raises as `positive_int` does."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
            raise self._wrong(key, value, "a number above 0")
        return float(value)

    def boolean(self, key: str, *, default: bool) -> bool:
        """True or false; raises as `positive_int` does."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def section(self, key: str) -> ConfigKeys:
        """The keys of an object; empty where it is missing."""
        value = self._value(key, {})
        if not isinstance(value, Mapping):
            raise self._wrong(key, value, "an object")
        return ConfigKeys(value, f"{self._where}: {key}")

    def has(self, key: str) -> bool:
        """Whether the key has a value."""
        return self._data.get(key) is not None

    def require(self, key: str, accepted: Collection[Any]) -> None:
        """Refuse a value of `key` that is computed differently here.

        Args:
            key: May be missing.
            accepted: The values that mean what is computed here.

        Raises:
            UsageError: Another value.
        """
        value = self._value(key, None)
        if value is not None and not any(value == item and type(value) is type(item) for item in accepted):
            raise UsageError(
                f"{self._where}: '{key}' asks for something that bedplate does not compute",
                seen=f"{key}: {value}",
                expected=" or ".join(_spelling(item) for item in accepted) or "no such key",
                next_step="use a model without it",
            )

    def require_each(self, key: str, item: Any, count: int) -> None:
        """As `require`, of a list that is `count` times `item`; `count` may be damaged, so no such list is made."""
        value = self._value(key, None)
        self.require(key, ([item] * count,) if isinstance(value, list) and len(value) == count else ())

    def check_tokens(self, key: str, vocab_size: int) -> None:
        """Refuse a token of `key`, one or a list, that the vocabulary does not have; what is no number is left to its reader.

        Raises:
            IntegrityError: There is such a token.
        """
        value = self._value(key, None)
        for token in value if isinstance(value, list) else [value]:
            if isinstance(token, int) and not 0 <= token < vocab_size:
                expected = f"0 to {vocab_size - 1} ('vocab_size' is {vocab_size})"
                next_step = "correct the id, or fetch the model again"
                raise IntegrityError(
                    f"{self._where}: '{key}' is outside the vocabulary", seen=value, expected=expected, next_step=next_step
                )

    def finish(self, harmless: Collection[str] = HARMLESS) -> None:
        """Refuse the keys that were never read and are not known to be harmless.

        Raises:
            UsageError: There are such; it names them.
        """
        unknown = sorted(key for key in self._data if key not in self._known and key not in harmless and self.has(key))
        if unknown:
            raise UsageError(
                f"{self._where} has keys that bedplate does not know; they may change what the model computes",
                seen=", ".join(f"{key}: {self._data[key]}" for key in unknown[:5]),
                next_step="remove a key that you know to be harmless, or ask for support of the model",
            )

    def _value(self, key: str, default: Any) -> Any:
        self._known.add(key)
        value = self._data.get(key)
        return default if value is None else value

    def _wrong(self, key: str, value: object, expected: str) -> IntegrityError:
        what = f"{self._where} is incomplete: '{key}' is missing" if value is None else f"{self._where}: '{key}' is wrong"
        return IntegrityError(what, seen=value, expected=expected, next_step="fetch the model again")


def _spelling(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return str(list(value))
    return str(value)
