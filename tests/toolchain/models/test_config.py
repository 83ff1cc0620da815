"""A config is read completely or refused by name: what is not computed here never loads as if it were."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaConfig as TheirConfig

from bedplate.core.errors import IntegrityError, NotFoundError, UsageError
from bedplate.toolchain.models.config import LlamaConfig, config_digest
from bedplate.toolchain.models.config_keys import HARMLESS
from bedplate.toolchain.models.families import read_config

SMALL = {
    "model_type": "llama",
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "max_position_embeddings": 64,
}


def read(**changed: Any) -> LlamaConfig:
    return LlamaConfig.from_json({**SMALL, **changed})


def test_silent_keys_have_the_defaults_of_transformers() -> None:
    theirs = TheirConfig(**{key: value for key, value in SMALL.items() if key != "model_type"})
    ours = read()
    assert (ours.rms_norm_eps, ours.rope_theta) == (theirs.rms_norm_eps, theirs.rope_parameters["rope_theta"])
    assert (ours.num_kv_heads, ours.head_size) == (theirs.num_key_value_heads, theirs.head_dim)
    assert ours.tie_embeddings == theirs.tie_word_embeddings


def test_a_config_that_transformers_writes_is_read(tmp_path: Path) -> None:
    shape = {key: value for key, value in SMALL.items() if key != "model_type"}
    TheirConfig(**shape, rope_theta=5e5, rms_norm_eps=1e-5, tie_word_embeddings=True).save_pretrained(tmp_path)
    assert read_config(tmp_path) == read(rope_theta=500_000, rms_norm_eps=1e-5, tie_word_embeddings=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rope_scaling", {"type": "linear", "factor": 2.0}),
        ("rope_scaling", {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 32}),
        ("rope_scaling", {"type": "default", "mscale": 0.7}),
        ("rope_parameters", {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}),
        ("rope_parameters", {"rope_type": "default", "partial_rotary_factor": 0.5}),
        ("hidden_act", "gelu"),
        ("attention_bias", True),
        ("mlp_bias", True),
        ("attention_dropout", 0.1),
        ("partial_rotary_factor", 0.5),
        ("rope_interleaved", True),
        ("sliding_window", 32),
        ("layer_types", ["full_attention", "sliding_attention", "full_attention"]),
        ("attention_multiplier", 0.015625),
        ("embedding_multiplier", 12.0),
        ("residual_multiplier", 0.22),
        ("logits_scaling", 8.0),
        ("final_logit_softcapping", 30.0),
        ("no_rope_layers", [1, 1, 0]),
        ("architectures", ["MistralForCausalLM"]),
        ("auto_map", {"AutoModelForCausalLM": "modeling.Model"}),
    ],
)
def test_what_is_not_computed_here_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(UsageError, match=key):
        read(**{key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rope_scaling", None),
        ("rope_scaling", {"type": "default"}),
        ("rope_parameters", {"rope_type": "default", "rope_theta": 10_000.0}),
        ("hidden_act", "swish"),
        ("attention_bias", False),
        ("sliding_window", None),
        ("layer_types", ["full_attention"] * 3),
        ("head_dim", None),
        ("no_rope_layers", None),
        ("torch_dtype", "bfloat16"),
        ("eos_token_id", [2, 96]),
        ("bos_token_id", 0),
        ("architectures", ["LlamaForCausalLM"]),
        ("transformers_version", "4.0.0"),
    ],
)
def test_neutral_values_and_harmless_keys_change_nothing(key: str, value: object) -> None:
    assert read(**{key: value}) == read()


@pytest.mark.parametrize("key", ["bos_token_id", "eos_token_id"])
@pytest.mark.parametrize("value", [97, -1, [2, 97]])
def test_a_token_outside_the_vocabulary_is_named(key: str, value: object) -> None:
    with pytest.raises(IntegrityError, match=rf"'{key}' is outside the vocabulary.*0 to 96"):
        read(**{key: value})


def test_no_known_key_of_transformers_is_unjudged() -> None:
    """Every key that its released config class has is read, held to a value, or known to be harmless."""
    data = TheirConfig(**{key: value for key, value in SMALL.items() if key != "model_type"}).to_dict()
    assert LlamaConfig.from_json(data | {"model_type": "llama"}) == read()
    assert not {"hidden_act", "rope_scaling", "sliding_window", "attention_bias"} & HARMLESS


@pytest.mark.parametrize("key", [key for key in SMALL if key != "model_type"])
@pytest.mark.parametrize("value", [None, "48", 0, 4.5, True])
def test_a_shape_that_is_missing_or_no_number_is_named(key: str, value: object) -> None:
    with pytest.raises(IntegrityError, match=key):
        read(**{key: value})


def test_two_values_of_theta_are_refused() -> None:
    with pytest.raises(IntegrityError, match=r"rope_theta: 10000.*rope_parameters\.rope_theta: 500000"):
        read(rope_theta=1e4, rope_parameters={"rope_type": "default", "rope_theta": 5e5})


@pytest.mark.parametrize("text", ["", "{", "[]", "version https://git-lfs.github.com/spec/v1\n"])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"config\.json"):
        read_config(tmp_path)


def test_a_folder_without_a_config_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not a model folder"):
        read_config(tmp_path)


@pytest.mark.parametrize("name", ["mamba", None, 3, "lama"])
def test_another_family_is_refused(tmp_path: Path, name: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL | {"model_type": name}))
    with pytest.raises(UsageError, match="family is not supported"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [{"rope_theta": 5e5}, {"rms_norm_eps": 1e-5}, {"num_attention_heads": 3, "head_dim": 8}, {"head_dim": 16}],
)
def test_the_digest_changes_with_what_is_computed(changed: dict[str, Any]) -> None:
    assert config_digest(read(**changed)) != config_digest(read())


def test_the_digest_is_of_the_meaning_and_not_of_the_text() -> None:
    assert config_digest(read(rope_theta=10_000, torch_dtype="float32")) == config_digest(read())


def test_reading_a_config_does_not_import_torch() -> None:
    code = "import sys, bedplate.toolchain.models.families; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
