"""Folders that bedplate writes load in transformers with equal logits: plain, int8 and packed, tied and untied.

The int8 ones need compressed-tensors, whose packed layout is also what vLLM reads.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bedplate.toolchain.compress.int8 import quantize_int8
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.derived import keep_from_base
from bedplate.toolchain.models.folder import load_model, save_model
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.models.quantization import Storage
from bedplate.toolchain.models.stored import inspect_model
from tests.tiny_model import write_tiny_tokenizer

TOKENS = torch.randint(2048, (2, 33), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as somebody else saved it: in fp32, with licence, template and sampling defaults."""
    folder: Path = tmp_path_factory.mktemp("base")
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=48,
        intermediate_size=90,
        num_layers=2,
        num_heads=6,
        num_kv_heads=2,
        head_size=8,
        max_positions=64,
        rope_theta=50_000.0,
        rms_norm_eps=1e-5,
        tie_embeddings=request.param,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Llama(config)
        for parameter in model.parameters():
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=0.1)
    save_model(model, folder, torch.float32)
    write_tiny_tokenizer(folder)
    data = json.loads((folder / "config.json").read_text()) | {"eos_token_id": 2}
    data["rope_parameters"] = {"rope_type": "default", "rope_theta": data.pop("rope_theta")}
    del data["torch_dtype"]  # as transformers 5 writes it
    (folder / "config.json").write_text(json.dumps(data))
    (folder / "generation_config.json").write_text('{"temperature": 0.6, "do_sample": true, "eos_token_id": 2}')
    (folder / "LICENSE").write_text("Apache License")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    names = dict.fromkeys(inspect_model(folder).tensors, "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    return folder


def made_from(base: Path, folder: Path, storage: Storage) -> Path:
    model = load_model(base, torch.bfloat16)
    save_model(model if storage is Storage.PLAIN else quantize_int8(model, storage), folder)
    keep_from_base(base, folder)
    return folder


def theirs(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.mark.parametrize("storage", list(Storage))
def test_transformers_gives_the_same_logits(base: Path, tmp_path: Path, storage: Storage) -> None:
    if storage is not Storage.PLAIN:
        pytest.importorskip("compressed_tensors")
    folder = made_from(base, tmp_path, storage)
    ours = load_model(folder)
    with torch.no_grad():
        torch.testing.assert_close(ours.logits(ours(TOKENS)), theirs(folder)(TOKENS).logits, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("storage", list(Storage))
def test_every_type_in_the_config_is_that_of_the_weights(base: Path, tmp_path: Path, storage: Storage) -> None:
    from transformers import AutoConfig

    folder = made_from(base, tmp_path, storage)
    data = json.loads((folder / "config.json").read_text())
    assert data["dtype"] == data["torch_dtype"] == "bfloat16"
    config = AutoConfig.from_pretrained(folder)
    assert config.dtype is torch.bfloat16 and config.eos_token_id == 2
    assert config.rope_parameters["rope_theta"] == 50_000.0


def test_a_copy_keeps_what_belongs_to_the_model_only(base: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    folder = made_from(base, tmp_path, Storage.INT8)
    assert (folder / "LICENSE").read_text() == "Apache License"
    assert GenerationConfig.from_pretrained(folder).temperature == 0.6
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "hi"
    assert not (folder / "model.safetensors.index.json").exists()


def test_a_model_made_from_a_compressed_one_is_not_compressed(base: Path, tmp_path: Path) -> None:
    compressed = made_from(base, tmp_path / "int8", Storage.INT8)
    save_model(load_model(base), tmp_path / "plain")
    keep_from_base(compressed, tmp_path / "plain")
    load_model(tmp_path / "plain")


@pytest.mark.parametrize("storage", [Storage.INT8, Storage.INT8_LINEAR])
def test_a_compressed_model_loads_as_it_was(base: Path, tmp_path: Path, storage: Storage) -> None:
    model = load_model(made_from(base, tmp_path / "plain", Storage.PLAIN), torch.bfloat16)
    quantised = quantize_int8(model, storage)
    save_model(quantised, tmp_path / "int8")
    loaded = load_model(tmp_path / "int8", torch.bfloat16).state_dict()
    for name, tensor in quantised.state_dict().items():
        assert torch.equal(tensor, loaded[name]), name
    assert {tensor.data_ptr() % 64 for tensor in loaded.values()} == {0}
