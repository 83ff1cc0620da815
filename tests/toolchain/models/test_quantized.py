"""Int8 weights: as near as eight bits allow, the same by both ways of multiplying, the same after a trip to disk."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import CheckFailedError, IntegrityError, UsageError
from bedplate.toolchain.compress.int8 import quantize_int8
from bedplate.toolchain.models import quantized
from bedplate.toolchain.models.folder import load_model, save_model
from bedplate.toolchain.models.quantization import Storage, quantization_config, storage_of
from bedplate.toolchain.models.quantized import Int8Linear, quantize_rows
from tests.tiny_model import layers_of


@given(seed=st.integers(0, 1000), spread=st.floats(1e-4, 1e3))
def test_each_weight_is_within_half_a_step_of_its_row(seed: int, spread: float) -> None:
    weight = torch.randn(7, 33, generator=torch.Generator().manual_seed(seed)) * spread
    packed, scale = quantize_rows(weight)
    step = scale.float()
    clipped = (weight.abs() > 127 * step).float() * (weight.abs() - 127 * step)
    assert ((packed.float() * step - weight).abs() <= step * 0.5001 + clipped).all()
    assert (clipped <= step * 0.6).all()


def test_a_row_of_zeros_stays_zero() -> None:
    packed, scale = quantize_rows(torch.zeros(2, 8))
    assert not packed.any() and torch.isfinite(scale).all()


def make_linear(out_features: int, in_features: int) -> Int8Linear:
    linear = Int8Linear(out_features, in_features)
    weight = torch.randn(out_features, in_features, generator=torch.Generator().manual_seed(0)) * 0.05
    linear.weight, linear.weight_scale = quantize_rows(weight)
    return linear


@pytest.mark.parametrize("rows", [1, 3, 8, 9, 40])
def test_both_ways_of_multiplying_agree(rows: int) -> None:
    linear, x = make_linear(48, 64), torch.randn(2, rows, 64, generator=torch.Generator().manual_seed(1))
    exact = x @ (linear.weight.float() * linear.weight_scale.float()).T
    assert linear(x.bfloat16()).shape == (2, rows, 48)
    torch.testing.assert_close(linear(x.bfloat16()).float(), exact, atol=0.02, rtol=0.02)
    torch.testing.assert_close(linear(x), exact, atol=1e-4, rtol=1e-4)


def test_weights_that_the_kernel_cannot_take_use_the_fallback() -> None:
    """Torch's kernel ends the process with SIGSEGV on these."""
    for in_features, offset in ((40, 0), (64, 1), (64, 8)):
        linear, x = make_linear(48, in_features), torch.randn(3, in_features).bfloat16()
        expected = linear(x.float())
        memory = torch.empty(48 * in_features + offset, dtype=torch.int8)
        linear.weight = memory[offset:].view(48, in_features).copy_(linear.weight)
        torch.testing.assert_close(linear(x).float(), expected, atol=0.02, rtol=0.02)


def test_loaded_weights_start_at_a_cache_line(tiny_model: Path, tmp_path: Path) -> None:
    save_model(quantize_int8(load_model(tiny_model)), tmp_path)
    tensors = load_model(tmp_path, torch.bfloat16).state_dict().values()
    assert {tensor.data_ptr() % 64 for tensor in tensors} == {0}


def test_a_large_matrix_is_multiplied_in_chunks_to_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    linear, x = make_linear(48, 64), torch.randn(19, 64).bfloat16()
    unpacked = linear(x)
    monkeypatch.setattr(quantized, "LARGE_MATRIX", 1)
    torch.testing.assert_close(linear(x), unpacked, atol=0.01, rtol=0.02)


def test_a_saved_int8_model_loads_as_it_was_and_stays_tied(tiny_model: Path, tmp_path: Path) -> None:
    compressed = quantize_int8(load_model(tiny_model, torch.bfloat16))
    save_model(compressed, tmp_path / "int8")
    loaded = load_model(tmp_path / "int8", torch.bfloat16)
    assert loaded.lm_head.weight.data_ptr() == loaded.model.embed_tokens.weight.data_ptr()
    for name, tensor in compressed.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    size, base = ((folder / "model.safetensors").stat().st_size for folder in (tmp_path / "int8", tiny_model))
    assert size < 0.55 * base


def test_an_int8_model_computes_with_its_unpacked_weights(tiny_model: Path, tmp_path: Path) -> None:
    save_model(quantize_int8(load_model(tiny_model, torch.bfloat16)), tmp_path)
    compressed, unpacked = load_model(tmp_path), load_model(tiny_model)
    stored = compressed.state_dict()
    for name, tensor in unpacked.state_dict().items():
        if f"{name}_scale" in stored:
            tensor.copy_(stored[name].float() * stored[f"{name}_scale"])
    tokens = torch.randint(2048, (2, 20), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(compressed.logits(compressed(tokens)), unpacked.logits(unpacked(tokens)), atol=1e-3, rtol=1e-3)


def test_what_cannot_be_quantised_is_refused(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    with torch.no_grad():
        layers_of(model)[3].mlp.up_proj.weight[5, 5] = float("nan")
    with pytest.raises(CheckFailedError, match=r"layers\.3\.mlp\.up_proj"):
        quantize_int8(model)
    with pytest.raises(UsageError, match="already compressed"):
        quantize_int8(quantize_int8(load_model(tiny_model)))


def test_another_quantisation_and_half_a_file_are_named(tiny_model: Path, tmp_path: Path) -> None:
    save_model(load_model(tiny_model), tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(IntegrityError, match="damaged"):
        load_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"quantization_config": {"quant_method": "gptq"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="gptq"):
        load_model(tmp_path)


@pytest.mark.parametrize("columns", [1, 3, 4, 30, 64])
def test_packed_weights_are_those_of_the_format(columns: int) -> None:
    """Against the format's own definition: element i is bits 8 i to 8 i + 7 of the row, plus 128."""
    weight = torch.randint(-128, 128, (5, columns), dtype=torch.int8, generator=torch.Generator().manual_seed(0))
    packed = quantized.pack(weight)
    assert packed.shape == (5, -(-columns // 4)) and packed.dtype is torch.int32
    for row in range(5):
        for column in range(columns):
            word = int(packed[row, column // 4]) & 0xFFFFFFFF
            assert (word >> 8 * (column % 4)) & 0xFF == int(weight[row, column]) + 128
    assert torch.equal(quantized.unpack(packed, columns), weight)


@pytest.mark.parametrize(
    "changed",
    [
        {"quant_method": "gptq"},
        {"format": "float-quantized"},
        {"ignore": ["lm_head"]},
        {"kv_cache_scheme": {"num_bits": 8}},
        {"group": {"input_activations": {"num_bits": 8, "dynamic": True}}},
        {"group": {"targets": ["Linear"]}},
        {"weights": {"num_bits": 4}},
        {"weights": {"symmetric": False}},
        {"weights": {"strategy": "group", "group_size": 128}},
        {"weights": {"actorder": "group"}},
    ],
)
def test_another_quantisation_is_not_taken_for_ours(changed: dict[str, Any]) -> None:
    config = quantization_config(Storage.INT8)
    assert config is not None
    group = config["config_groups"]["group_0"]
    group |= changed.pop("group", {})
    group["weights"] |= changed.pop("weights", {})
    assert storage_of({"quantization_config": quantization_config(Storage.INT8)}) is Storage.INT8
    with pytest.raises(UsageError, match="not supported"):
        storage_of({"quantization_config": config | changed})
