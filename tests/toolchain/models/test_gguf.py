"""A GGUF file becomes the folder that it was made from; a bad one is named."""

import json
from pathlib import Path

import pytest
import torch

from bedplate.core.errors import IntegrityError, UsageError
from bedplate.toolchain.data.tokenizer import load_tokenizer
from bedplate.toolchain.models.folder import load_model
from bedplate.toolchain.models.gguf import convert_gguf
from tests.tiny_model import CHAT_TEMPLATE, tiny_documents
from tests.toolchain.models.gguf_files import write_gguf


@pytest.fixture(scope="module")
def converted(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    convert_gguf(write_gguf(tiny_model, folder / "tiny.gguf"), folder / "model")
    return folder / "model"


def test_weights_and_shape_come_back_bit_for_bit(tiny_model: Path, converted: Path) -> None:
    before, after = load_model(tiny_model), load_model(converted)
    assert after.config == before.config
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name]), name


def test_the_tokenizer_gives_the_same_tokens(tiny_model: Path, converted: Path) -> None:
    text = f"<|im_start|>user\n{next(tiny_documents(1))} 12  34<|im_end|>\n"
    tokens = load_tokenizer(converted).encode(text).ids
    assert tokens == load_tokenizer(tiny_model).encode(text).ids
    assert tokens[0] == 1 and 2 in tokens


def test_template_and_special_tokens_are_kept(converted: Path) -> None:
    settings = json.loads((converted / "tokenizer_config.json").read_text())
    assert settings["chat_template"] == CHAT_TEMPLATE and settings["eos_token"] == "<|im_end|>"
    assert json.loads((converted / "config.json").read_text())["eos_token_id"] == 2
    assert json.loads((converted / "generation_config.json").read_text())["eos_token_id"] == 2


def test_half_a_file_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    file = write_gguf(tiny_model, tmp_path / "tiny.gguf")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(IntegrityError, match="not a whole GGUF"):
        convert_gguf(file, tmp_path / "model")


def test_weights_that_are_not_numbers_are_named(tiny_model: Path, tmp_path: Path) -> None:
    file = write_gguf(tiny_model, tmp_path / "tiny.gguf", spoil="blk.2.ffn_up.weight")
    with pytest.raises(IntegrityError, match=r"not numbers.*blk\.2\.ffn_up"):
        convert_gguf(file, tmp_path / "model")


def test_another_architecture_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mamba"):
        convert_gguf(write_gguf(tiny_model, tmp_path / "tiny.gguf", architecture="mamba"), tmp_path / "model")
