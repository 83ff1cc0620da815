"""What a decoder of the Llama family computes, as a record without torch; the config of `config.json` and its digest.

Source of names and defaults: transformers' `LlamaConfig`, release 5.23. Its defaults count where a file is silent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

from bedplate.core.errors import IntegrityError, UsageError
from bedplate.core.json import digest
from bedplate.toolchain.models.config_keys import ConfigKeys

DEFAULT_THETA = 10_000.0
DEFAULT_EPS = 1e-6

_COMPUTED_AS: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "qkv_bias": (False,),
    "use_qkv_bias": (False,),
    "attention_dropout": (0.0, 0),
    "hidden_dropout": (0.0, 0),
    "resid_pdrop": (0.0, 0),
    "partial_rotary_factor": (1.0, 1),
    "rope_interleaved": (False,),
    "sliding_window": (),
    "use_sliding_window": (False,),
    "attention_multiplier": (),
    "embedding_multiplier": (1.0, 1),
    "residual_multiplier": (1.0, 1),
    "logits_scaling": (1.0, 1),
    "logit_scale": (1.0, 1),
    "query_pre_attn_scalar": (),
    "attn_logit_softcapping": (),
    "final_logit_softcapping": (),
    "use_qk_norm": (False,),
    "qk_layernorm": (False,),
    "is_encoder_decoder": (False,),
    "is_decoder": (True, False),
    "add_cross_attention": (False,),
    "pruned_heads": ({},),
}
"""Keys that change what is computed, and the values at which it is what `llama.py` computes; null always is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaConfig:
    """Shape and constants of a Llama decoder; every field decides what it computes."""

    model_type: ClassVar[str] = "llama"
    architecture: ClassVar[str] = "LlamaForCausalLM"

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    """Width of the feed-forward."""
    num_layers: int
    num_heads: int
    """Query heads."""
    num_kv_heads: int
    """Key and value heads; each serves num_heads / num_kv_heads query heads."""
    head_size: int
    """Numbers of one head; even, since its two halves are rotated together."""
    max_positions: int
    """Longest context in tokens."""
    rope_theta: float = DEFAULT_THETA
    """Base of the rotary angles."""
    rms_norm_eps: float = DEFAULT_EPS
    tie_embeddings: bool = True
    """Whether the output head is the embedding table."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LlamaConfig:
        """From the content of a `config.json`.

        Raises:
            IntegrityError: A key is missing, of the wrong type, or contradicts another.
            UsageError: A key asks for something that is not computed here, or is not known.
        """
        keys = ConfigKeys(data)
        heads = keys.positive_int("num_attention_heads")
        hidden = keys.positive_int("hidden_size")
        config = cls(
            vocab_size=keys.positive_int("vocab_size"),
            hidden_size=hidden,
            intermediate_size=keys.positive_int("intermediate_size"),
            num_layers=keys.positive_int("num_hidden_layers"),
            num_heads=heads,
            num_kv_heads=keys.positive_int("num_key_value_heads", heads),
            head_size=keys.positive_int("head_dim", max(1, hidden // heads)),
            max_positions=keys.positive_int("max_position_embeddings"),
            rope_theta=_rope_theta(keys),
            rms_norm_eps=keys.positive_float("rms_norm_eps", DEFAULT_EPS),
            tie_embeddings=keys.boolean("tie_word_embeddings", default=False),
        )
        for key, accepted in _COMPUTED_AS.items():
            keys.require(key, accepted)
        keys.require_each("layer_types", "full_attention", config.num_layers)
        keys.require("architectures", ([cls.architecture],))
        for key in ("bos_token_id", "eos_token_id"):
            keys.check_tokens(key, config.vocab_size)
        keys.finish()
        _check_heads(config)
        return config

    def as_json(self) -> dict[str, Any]:
        """The `config.json` that transformers (4 and 5), vLLM and `from_json` read."""
        return {
            "architectures": [self.architecture],
            "model_type": self.model_type,
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_size,
            "max_position_embeddings": self.max_positions,
            "rope_theta": self.rope_theta,
            "rms_norm_eps": self.rms_norm_eps,
            "tie_word_embeddings": self.tie_embeddings,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
        }

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by its name in a checkpoint; the head too, where it is the embedding table."""
        hidden, kv_size = self.hidden_size, self.num_kv_heads * self.head_size
        layer = {
            "input_layernorm.weight": (hidden,),
            "self_attn.q_proj.weight": (self.num_heads * self.head_size, hidden),
            "self_attn.k_proj.weight": (kv_size, hidden),
            "self_attn.v_proj.weight": (kv_size, hidden),
            "self_attn.o_proj.weight": (hidden, self.num_heads * self.head_size),
            "post_attention_layernorm.weight": (hidden,),
            "mlp.gate_proj.weight": (self.intermediate_size, hidden),
            "mlp.up_proj.weight": (self.intermediate_size, hidden),
            "mlp.down_proj.weight": (hidden, self.intermediate_size),
        }
        layers = {f"model.layers.{at}.{name}": shape for at in range(self.num_layers) for name, shape in layer.items()}
        table = (self.vocab_size, hidden)
        return {"model.embed_tokens.weight": table, **layers, "model.norm.weight": (hidden,), "lm_head.weight": table}

    @property
    def num_parameters(self) -> int:
        """Weights, tied ones once."""
        shapes = self.tensor_shapes()
        tied = self.vocab_size * self.hidden_size if self.tie_embeddings else 0
        return sum(math.prod(shape) for shape in shapes.values()) - tied


ModelConfig: TypeAlias = LlamaConfig
"""The config of any family in `families.py`; a union once there are two."""


def config_digest(config: ModelConfig) -> str:
    """What names the function that a config describes: 32 hex digits over the family and every field.

    Two folders whose configs have one digest and whose weights have one digest give the same keys, values and logits; a cache
    of either must hold both digests in its key.
    """
    return digest({"model_type": config.model_type, **asdict(config)})


def _rope_theta(keys: ConfigKeys) -> float:
    """Base of the rotary angles, from the three spellings in use; scaled RoPE is refused in all of them.

    transformers 5 writes `rope_parameters`, 4.43 and later `rope_scaling` with `rope_type`, earlier ones with `type`.
    """
    sections = {name: keys.section(name) for name in ("rope_parameters", "rope_scaling")}
    for rope in sections.values():
        for key in ("type", "rope_type"):
            rope.require(key, ("default",))
        rope.require("partial_rotary_factor", (1.0, 1))
    named = {"rope_theta": keys} | {f"{name}.rope_theta": rope for name, rope in sections.items()}
    values = {
        name: source.positive_float("rope_theta", DEFAULT_THETA) for name, source in named.items() if source.has("rope_theta")
    }
    for rope in sections.values():
        rope.finish(harmless=())
    if len(set(values.values())) > 1:
        raise IntegrityError(
            "config.json gives two values for the same setting",
            seen=", ".join(f"{name}: {value}" for name, value in values.items()),
            next_step="keep the value that the model was trained with",
        )
    return next(iter(values.values()), DEFAULT_THETA)


def _check_heads(config: LlamaConfig) -> None:
    if config.num_heads % config.num_kv_heads:
        seen = f"{config.num_heads} heads, {config.num_kv_heads} key/value heads"
        raise IntegrityError("config.json: heads cannot be grouped", seen=seen, expected="a multiple")
    if config.head_size % 2:
        raise UsageError("rotary positions need an even head size", seen=config.head_size, expected="an even head_dim")
