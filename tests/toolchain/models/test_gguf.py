"""A GGUF file becomes the folder that it was made from; a bad one is named."""

import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bedplate.core.errors import BedplateError, IntegrityError, UsageError
from bedplate.toolchain.models.folder import load_model
from bedplate.toolchain.models.gguf import convert_gguf
from bedplate.toolchain.models.tokenizer import load_tokenizer
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
    said = json.loads((converted / "tokenizer_config.json").read_text())
    assert said["chat_template"] == CHAT_TEMPLATE and said["eos_token"] == "<|im_end|>"
    assert json.loads((converted / "config.json").read_text())["eos_token_id"] == 2
    assert json.loads((converted / "generation_config.json").read_text())["eos_token_id"] == 2


def test_half_a_file_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    file = write_gguf(tiny_model, tmp_path / "tiny.gguf")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(IntegrityError, match="not a complete GGUF"):
        convert_gguf(file, tmp_path / "model")


def test_weights_that_are_not_numbers_are_named(tiny_model: Path, tmp_path: Path) -> None:
    file = write_gguf(tiny_model, tmp_path / "tiny.gguf", spoil="blk.2.ffn_up.weight")
    with pytest.raises(IntegrityError, match=r"NaN or infinity.*blk\.2\.ffn_up"):
        convert_gguf(file, tmp_path / "model")


def test_another_architecture_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mamba"):
        convert_gguf(write_gguf(tiny_model, tmp_path / "tiny.gguf", architecture="mamba"), tmp_path / "model")


def rewritten(source: Path, target: Path, **changed: Any) -> Path:
    """The GGUF with metadata changed; None removes a key, `without` (a tensor's name) a tensor. `.` is written `__`."""
    reader, without = gguf.GGUFReader(source), changed.pop("without", None)
    writer = gguf.GGUFWriter(target, "llama")
    values = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    values |= {name.replace("__", "."): value for name, value in changed.items()}
    for name, value in values.items():
        if name != "general.architecture" and value is not None:
            add_value(writer, name, value)
    for tensor in reader.tensors:
        if tensor.name != without:
            writer.add_tensor(tensor.name, np.array(tensor.data))
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        write()
    return target


def add_value(writer: Any, name: str, value: object) -> None:
    match value:
        case bool():
            writer.add_bool(name, value)
        case int():
            writer.add_uint32(name, value)
        case float():
            writer.add_float32(name, value)
        case str():
            writer.add_string(name, value)
        case _:
            writer.add_array(name, value)


@pytest.fixture(scope="module")
def source(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tiny_model, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"llama__attention__head_count": None}, IntegrityError, "attention.head_count"),
        ({"llama__attention__layer_norm_rms_epsilon": None}, IntegrityError, "layer_norm_rms_epsilon"),
        ({"llama__block_count": 9}, IntegrityError, "do not match"),
        ({"llama__rope__scaling__type": "yarn"}, UsageError, "rope.scaling.type: yarn"),
        ({"llama__rope__scaling__factor": 4.0}, UsageError, "rope.scaling.factor"),
        ({"llama__rope__dimension_count": 16}, UsageError, "rope.dimension_count"),
        ({"llama__attention__sliding_window": 64}, UsageError, "attention.sliding_window"),
        ({"llama__expert_count": 8}, UsageError, "expert_count"),
        ({"llama__logit_scale": 0.5}, UsageError, "logit_scale"),
        ({"tokenizer__ggml__tokens": None}, IntegrityError, "tokenizer.ggml.tokens"),
        ({"tokenizer__ggml__merges": None}, IntegrityError, "tokenizer.ggml.merges"),
        ({"tokenizer__ggml__merges": ["a b c", "d"]}, IntegrityError, "merges do not match"),
        ({"tokenizer__ggml__token_type": [1, 1]}, IntegrityError, "not every token has a type"),
        ({"tokenizer__ggml__eos_token_id": 70_000}, IntegrityError, "eos token"),
        ({"tokenizer__ggml__model": "llama"}, UsageError, "gpt2"),
        ({"tokenizer__ggml__pre": "qwen2"}, UsageError, "qwen2"),
        ({"split__count": 3}, UsageError, "3 parts"),
        ({"without": "blk.1.ffn_up.weight"}, IntegrityError, "do not match"),
        ({"without": "token_embd.weight"}, IntegrityError, "do not match"),
    ],
)
def test_what_is_missing_or_not_computed_here_is_named(
    source: Path, tmp_path: Path, changed: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        convert_gguf(rewritten(source, tmp_path / "changed.gguf", **changed), tmp_path / "model")


def test_the_beginning_of_text_is_put_where_the_file_says_so(source: Path, tmp_path: Path) -> None:
    file = rewritten(source, tmp_path / "bos.gguf", tokenizer__ggml__add_bos_token=True, llama__vocab_size=2048)
    convert_gguf(file, tmp_path / "model")
    assert load_tokenizer(tmp_path / "model").encode("the").ids[0] == 1
    convert_gguf(source, tmp_path / "plain")
    assert load_tokenizer(tmp_path / "plain").encode("the").ids[0] != 1


@pytest.mark.parametrize("content", [b"", b"GGUF", b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html>" * 99])
def test_what_is_no_gguf_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"x\.gguf"):
        convert_gguf(tmp_path / "x.gguf", tmp_path / "model")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(share=0.0, flipped=142, cut=False)  # once a hidden size of four thousand million
@given(share=st.floats(0, 0.999), flipped=st.integers(0, 2000), cut=st.booleans())
def test_no_damage_of_the_header_ends_in_a_traceback(
    source: Path, tmp_path: Path, share: float, flipped: int, cut: bool
) -> None:
    data = bytearray(source.read_bytes())
    if cut:
        data = data[: int(len(data) * share)]
    else:
        data[flipped] ^= 0xFF
    (tmp_path / "damaged.gguf").write_bytes(data)
    try:
        convert_gguf(tmp_path / "damaged.gguf", tmp_path / "model")
    except BedplateError as error:
        assert error.next_step or error.expected
