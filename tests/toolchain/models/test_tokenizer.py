"""One reading of a folder's tokenizer: training, evaluation and serving end a text with the same tokens."""

import json
import shutil
from pathlib import Path

import pytest

from bedplate.core.errors import UsageError
from bedplate.toolchain.data.tokenizer import separator_token
from bedplate.toolchain.models.tokenizer import end_tokens, load_tokenizer, special_tokens
from bedplate.toolchain.serve.codec import FolderCodec


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


def change(file: Path, **changed: object) -> None:
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(before | changed))


def test_end_tokens_come_from_every_file_in_order_and_once(folder: Path) -> None:
    change(folder / "config.json", eos_token_id=7)
    change(folder / "generation_config.json", eos_token_id=[9, 7])
    assert end_tokens(folder, load_tokenizer(folder)) == (7, 9, 2)
    assert FolderCodec(folder).stop_tokens == (2, 7, 9)


def test_a_folder_that_names_none_has_none(folder: Path) -> None:
    change(folder / "config.json", eos_token_id=None)
    change(folder / "tokenizer_config.json", eos_token=None)
    assert end_tokens(folder, load_tokenizer(folder)) == ()
    assert separator_token(load_tokenizer(folder), folder) == 0  # <|endoftext|> of the vocabulary


def test_special_tokens_are_texts_whatever_form_they_have(folder: Path) -> None:
    change(folder / "tokenizer_config.json", bos_token={"content": "<s>", "lstrip": False}, pad_token=None)
    assert special_tokens(folder) == {"bos_token": "<s>", "eos_token": "<|im_end|>"}


@pytest.mark.parametrize("named", ["</s>", True, [2, "x"], {"id": 2}, 2.0])
def test_an_end_that_is_no_token_is_named(folder: Path, named: object) -> None:
    change(folder / "config.json", eos_token_id=named)
    with pytest.raises(UsageError, match=r"config\.json: 'eos_token_id'"):
        end_tokens(folder, load_tokenizer(folder))


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_damaged_file_is_named(folder: Path, text: str) -> None:
    (folder / "generation_config.json").write_text(text)
    with pytest.raises(UsageError, match=r"generation_config\.json"):
        FolderCodec(folder)
