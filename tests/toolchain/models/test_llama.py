"""The decoder agrees with transformers, and its files are ones that transformers loads."""

from pathlib import Path

import pytest
import torch

from bedplate.core.errors import NotFoundError, UsageError
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.folder import load_model, save_model, shape_only
from bedplate.toolchain.models.llama import Llama

CONFIG = LlamaConfig(
    vocab_size=97,
    hidden_size=48,
    intermediate_size=80,
    num_layers=3,
    num_heads=6,
    num_kv_heads=2,
    head_size=8,
    max_positions=64,
)


def make_model(seed: int = 0) -> Llama:
    torch.manual_seed(seed)
    return Llama(CONFIG)


def test_logits_equal_those_of_transformers(tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    model = make_model()
    save_model(model, tmp_path, torch.float32)
    theirs = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    tokens = torch.randint(CONFIG.vocab_size, (2, 33))
    torch.testing.assert_close(model.logits(model(tokens)), theirs(tokens).logits, atol=1e-5, rtol=1e-4)


def test_saved_weights_load_to_the_same_numbers_and_stay_tied(tmp_path: Path) -> None:
    model = make_model()
    save_model(model, tmp_path, torch.float32)
    loaded = load_model(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name


def test_number_of_parameters_is_counted_without_building() -> None:
    assert CONFIG.num_parameters == sum(parameter.numel() for parameter in make_model().parameters())


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"config\.json"):
        load_model(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_model(make_model(), tmp_path)
    config = (tmp_path / "config.json").read_text().replace('"intermediate_size": 80', '"intermediate_size": 96')
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UsageError, match="do not match"):
        load_model(tmp_path)


def test_a_model_on_the_meta_device_leaves_initialisation_alone() -> None:
    shapes = {name: tuple(parameter.shape) for name, parameter in shape_only(CONFIG).named_parameters()}
    assert all(parameter.is_meta for parameter in shape_only(CONFIG).parameters())
    assert shapes == {name: tuple(parameter.shape) for name, parameter in make_model().named_parameters()}
    assert torch.nn.Linear(4, 4).weight.std() > 0
