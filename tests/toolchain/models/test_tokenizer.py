"""One reading of a folder's tokenizer: training, evaluation and serving end a text with the same tokens."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.app.pipeline.contract.standalone import standalone_context
from bedplate.app.toolchain.train.checks import check_data
from bedplate.app.toolchain.train.step import run
from bedplate.core.errors import UsageError
from bedplate.toolchain.data.corpus import write_corpus
from bedplate.toolchain.data.tokenizer import DocumentEncoder, separator_token, tokenizer_digest
from bedplate.toolchain.models.families import read_config
from bedplate.toolchain.models.tokenizer import end_tokens, load_tokenizer, special_tokens
from bedplate.toolchain.serve.codec import FolderCodec
from bedplate.toolchain.serve.task import ServeTask
from bedplate.toolchain.train.settings import TrainSettings
from bedplate.workers.serve import open_server
from tests.tiny_model import VOCABULARY_SIZE, tiny_documents
from tests.training_run import make_shards


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


def add_token(model: Path) -> None:
    """As training programs do that add a padding token and forget to resize the table."""
    tokenizer = load_tokenizer(model)
    tokenizer.add_special_tokens(["[PAD]"])
    tokenizer.save(str(model / "tokenizer.json"))


def take_a_larger_vocabulary(model: Path) -> None:
    document = json.loads((model / "tokenizer.json").read_text())
    vocabulary = document["model"]["vocab"]
    vocabulary["zebra"] = VOCABULARY_SIZE + 5000  # one id far above, though there are few
    (model / "tokenizer.json").write_text(json.dumps(document))


def begin_with_another_token(model: Path) -> None:
    document = json.loads((model / "tokenizer.json").read_text())
    pieces = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {"<s>": {"id": "<s>", "ids": [VOCABULARY_SIZE], "tokens": ["<s>"]}}
    template = {"type": "TemplateProcessing", "single": pieces, "pair": pieces, "special_tokens": special}
    (model / "tokenizer.json").write_text(json.dumps(document | {"post_processor": template}))


def end_with_another_token(model: Path) -> None:
    change(model / "generation_config.json", eos_token_id=[2, VOCABULARY_SIZE])


def encode(model: Path) -> None:
    DocumentEncoder.of(model)


def serve(model: Path) -> None:
    with open_server(ServeTask(model=str(model), name="m"), None):
        pass


def train(model: Path) -> None:
    corpus = model / "corpus"
    write_corpus(tiny_documents(6), corpus, 0.5, {})
    settings = TrainSettings(model=str(model), data=str(corpus), tokens=600)
    with standalone_context("train", model / "step") as context:
        run(settings, context)


MISFITS = {
    "an added token": (add_token, r"'\[PAD\]' is token 2048 in .*tokenizer\.json"),
    "a larger vocabulary": (take_a_larger_vocabulary, "'zebra' is token 7048"),
    "a template": (begin_with_another_token, "a token of the post-processor is token 2048"),
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("use", [FolderCodec, encode, serve, train])
def test_a_token_that_the_model_does_not_have_is_one_error_everywhere(
    folder: Path, misfit: str, use: Callable[[Path], object]
) -> None:
    spoil, seen = MISFITS[misfit]
    spoil(folder)
    with pytest.raises(UsageError, match=f"the tokenizer has a token that the model does not.*{seen}.*0 to 2047"):
        use(folder)


def test_an_end_that_the_model_cannot_say_is_the_same_error(folder: Path) -> None:
    end_with_another_token(folder)
    with pytest.raises(
        UsageError, match=r"the tokenizer has a token that.*'eos_token_id' is token 2048 in .*generation_config"
    ):
        FolderCodec(folder)


def test_shards_of_the_models_own_tokenizer_do_not_blame_another_one(folder: Path, tmp_path: Path) -> None:
    add_token(folder)
    data = make_shards(tmp_path / "data", vocab_size=VOCABULARY_SIZE + 1, tokenizer_digest=tokenizer_digest(folder))
    with pytest.raises(UsageError, match=r"the tokenizer has a token that.*\[PAD\]"):
        check_data(TrainSettings(model=str(folder), data=str(data), sequence=32), read_config(folder))


def test_a_tokenizer_smaller_than_the_table_is_fine(folder: Path) -> None:
    change(folder / "config.json", vocab_size=VOCABULARY_SIZE + 64)
    assert FolderCodec(folder).encode("hello", add_special_tokens=False)
