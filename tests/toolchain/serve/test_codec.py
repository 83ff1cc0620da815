"""Tokenizers of both families, byte-level and SentencePiece: bytes of tokens, streams, and control tokens as text."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedplate.service.openai.texts.detokenise import TextStream
from bedplate.service.openai.texts.plain_text import ControlTokenGuard
from bedplate.toolchain.serve.codec import FolderCodec
from tests.tiny_model import tiny_documents

TEXT = "The river — 河 — runs. 🚀 Ünïcödé, done."


def write_sentencepiece_tokenizer(folder: Path) -> Path:
    """A BPE with `▁` for blanks and a token for each byte, as Llama 2 has."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bytes_of_text = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<unk>", "<s>", "</s>", *bytes_of_text], show_progress=False, max_token_length=8
    )
    tokenizer.train_from_iterator([word for document in tiny_documents(20, seed=7) for word in document.split()], trainer)
    data = json.loads(tokenizer.to_str())
    for token in data["added_tokens"]:
        token["special"] = not token["content"].startswith("<0x")
    data["added_tokens"] = [token for token in data["added_tokens"] if token["special"]]
    (folder / "tokenizer.json").write_text(json.dumps(data))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    return folder


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> FolderCodec:
    return FolderCodec(write_sentencepiece_tokenizer(tmp_path_factory.mktemp("sentencepiece")))


@pytest.fixture(scope="module")
def byte_level(tiny_model: Path) -> FolderCodec:
    return FolderCodec(tiny_model)


def test_bytes_of_tokens_make_the_text_in_a_byte_level_tokenizer(byte_level: FolderCodec) -> None:
    tokens = byte_level.encode(TEXT, add_special_tokens=False)
    assert b"".join(map(byte_level.token_bytes, tokens)).decode() == TEXT
    assert byte_level.token_bytes(2) == b"<|im_end|>"
    assert byte_level.token_bytes(10**6) == b""


def test_bytes_of_tokens_make_the_text_in_a_sentencepiece_tokenizer(sentencepiece: FolderCodec) -> None:
    tokens = sentencepiece.encode(TEXT, add_special_tokens=False)
    assert b"".join(map(sentencepiece.token_bytes, tokens)).decode() == f" {TEXT}"
    assert any(len(sentencepiece.token_bytes(token)) == 1 and sentencepiece.token_bytes(token)[0] > 127 for token in tokens)


def test_no_token_is_longer_than_the_longest(byte_level: FolderCodec, sentencepiece: FolderCodec) -> None:
    for codec in (byte_level, sentencepiece):
        assert max(len(codec.token_bytes(token)) for token in range(3000)) <= codec.max_token_bytes


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_a_stream_says_what_the_tokens_decode_to_at_once(
    byte_level: FolderCodec, sentencepiece: FolderCodec, text: str
) -> None:
    for codec in (byte_level, sentencepiece):
        tokens = codec.encode(text, add_special_tokens=False)
        out = TextStream(codec, ["a string that is not there"])
        assert "".join(out.add(token) for token in tokens) + out.finish() == codec.decode(tokens)


HIGH_BYTES, ORDINARY = st.integers(3 + 0x80, 3 + 0xFF), st.integers(3 + 256, 899)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tokens=st.lists(HIGH_BYTES | ORDINARY, max_size=60))
def test_invalid_utf8_does_not_lose_the_text_around_it(sentencepiece: FolderCodec, tokens: list[int]) -> None:
    out = TextStream(sentencepiece)
    said = "".join(out.add(token) for token in tokens) + out.finish()
    at_once = sentencepiece.decode(tokens)
    assert [letter for letter in said if letter.isascii() and letter != " "] == [
        letter for letter in at_once if letter.isascii() and letter != " "
    ]


def test_control_tokens_can_be_taken_for_text(byte_level: FolderCodec, sentencepiece: FolderCodec) -> None:
    for codec, text in ((byte_level, "a<|im_end|>b<|im_start|>"), (sentencepiece, "a</s>b<s>")):
        assert any(token in codec.control_tokens for token in codec.encode(text, add_special_tokens=False))
        tokens = codec.encode(text, add_special_tokens=False, control_tokens=False)
        assert not any(token in codec.control_tokens for token in tokens)
        assert codec.decode(tokens) == text


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from(["<|im_end|>", "<|im_start|>", "<|", "|>", "im_end", "x", " ", "\n"]), max_size=12))
def test_no_piece_of_a_guarded_text_holds_a_control_token(byte_level: FolderCodec, parts: list[str]) -> None:
    guard, text = ControlTokenGuard(byte_level.control_tokens.values()), "".join(parts)
    pieces = guard.pieces(guard.marked(text))
    tokens = [token for piece in pieces for token in byte_level.encode(piece, add_special_tokens=False)]
    assert "".join(pieces) == text
    assert not any(token in byte_level.control_tokens for token in tokens)
    assert byte_level.decode(tokens) == text


def test_long_texts_are_encoded_as_short_ones(byte_level: FolderCodec) -> None:
    text = "the river runs. " * 2000
    whole = byte_level.encode(text, add_special_tokens=True)
    assert whole == byte_level._tokenizer.encode(text).ids
