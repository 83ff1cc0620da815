"""Weights that are not numbers are refused by name wherever a model is loaded, before anything is computed with them."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from bedplate.app.pipeline.contract.standalone import standalone_context
from bedplate.app.toolchain.train.step import run
from bedplate.core.errors import IntegrityError
from bedplate.toolchain.compress.int8 import quantize_int8
from bedplate.toolchain.compress.schemes import judge, write_compressed
from bedplate.toolchain.models.finite import check_finite
from bedplate.toolchain.models.folder import load_model, save_model
from bedplate.toolchain.serve.task import ServeTask
from bedplate.workers.serve import open_server
from tests.training_run import make_micro_model, make_settings, make_shards

SPOILED = "model.layers.1.mlp.up_proj.weight"
REFUSED = r"NaN or infinity.*'model\.layers\.1\.mlp\.up_proj\.weight' of .*model\.safetensors"


def spoil(folder: Path, value: float, name: str = SPOILED) -> Path:
    weights = load_file(folder / "model.safetensors")
    weights[name].view(-1)[3] = value
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return spoil(make_micro_model(tmp_path / "base"), math.nan)


@given(st.integers(1, 200), st.data(), st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64]))
def test_one_bad_value_is_found_wherever_it_is(size: int, data: st.DataObject, dtype: torch.dtype) -> None:
    tensor = torch.linspace(-9, 9, size, dtype=dtype)
    check_finite("weight", tensor)
    tensor[data.draw(st.integers(0, size - 1))] = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    with pytest.raises(IntegrityError, match="'weight'"):
        check_finite("weight", tensor)


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "infinity"), (-math.inf, "infinity")])
def test_the_tensor_and_what_is_in_it_are_named(tmp_path: Path, value: float, word: str) -> None:
    with pytest.raises(IntegrityError, match=rf"seen: {word} in '{SPOILED}'"):
        load_model(spoil(make_micro_model(tmp_path), value))


def test_a_number_that_the_wanted_type_cannot_hold_is_found_too(tmp_path: Path) -> None:
    folder = make_micro_model(tmp_path)
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {SPOILED: weights[SPOILED].double() + 1e300}, folder / "model.safetensors")
    with pytest.raises(IntegrityError, match="infinity"):
        load_model(folder, torch.bfloat16)


def test_a_scale_of_int8_weights_is_a_weight(tmp_path: Path) -> None:
    save_model(quantize_int8(load_model(make_micro_model(tmp_path / "base"))), tmp_path / "int8")
    with pytest.raises(IntegrityError, match=r"up_proj\.weight_scale"):
        load_model(spoil(tmp_path / "int8", math.nan, f"{SPOILED}_scale"))


def test_a_server_does_not_start(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(json.dumps(WORDS))
    with pytest.raises(IntegrityError, match=REFUSED), open_server(ServeTask(model=str(folder), name="m"), None):
        pass


WORDS = {"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}, "added_tokens": []}


def test_compression_and_evaluation_give_the_same_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=REFUSED):
        write_compressed(folder, "int8", tmp_path / "out")
    tokens = torch.arange(40).numpy()
    with standalone_context("judge", tmp_path / "step") as context, pytest.raises(IntegrityError, match=REFUSED):
        judge(folder, folder, "int8", tokens, 16, context.reporter)


def test_training_does_not_start_from_it(folder: Path, tmp_path: Path) -> None:
    make_shards(tmp_path / "data")
    with standalone_context("train", tmp_path / "step") as context, pytest.raises(IntegrityError, match=REFUSED):
        run(make_settings(tmp_path, steps=2, workers=1), context)


def test_training_does_not_leave_one(tmp_path: Path) -> None:
    """The last update is the one that no later loss would show."""
    from bedplate.toolchain.models.card import ModelCard, ModelKind
    from bedplate.toolchain.train.export import export
    from tests.toolchain.train.test_trainer import make_trainer

    trainer = make_trainer(2)
    trainer.flat.weights[7] = math.inf
    base = make_micro_model(tmp_path / "base")
    with pytest.raises(IntegrityError, match="infinity in 'model"):
        export(trainer, base, tmp_path / "result", ModelCard(kind=ModelKind.TRAINED), {})
    assert not (tmp_path / "result").exists()
