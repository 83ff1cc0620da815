"""Streams of text: whole characters, nothing of a stop string, and in the end the same text as at once."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.service.openai.texts.detokenise import TextStream
from bedplate.toolchain.serve.codec import FolderCodec
from tests.service.openai.codecs import Bytes


def stream(text: str, stop: tuple[str, ...] = ()) -> list[str]:
    out = TextStream(Bytes(), stop)
    pieces = []
    for token in text.encode():
        pieces.append(out.add(token))
        if out.is_stopped:
            return pieces
    return [*pieces, out.finish()]


@given(st.text())
def test_pieces_make_the_whole_text_and_hold_whole_characters(text: str) -> None:
    pieces = stream(text)
    assert "".join(pieces) == text
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text


@given(st.text(alphabet="ab\u00e9", max_size=12), st.lists(st.text(alphabet="ab\u00e9", min_size=1, max_size=3), max_size=3))
def test_text_ends_where_the_first_stop_string_begins(text: str, stops: list[str]) -> None:
    said = "".join(stream(text, tuple(stops)))
    ends = [end for end in range(len(text) + 1) if any(text[:end].endswith(stop) for stop in stops)]
    first_end = min(ends, default=None)
    if first_end is None:
        assert said == text
    else:
        starts = [first_end - len(stop) for stop in stops if text[:first_end].endswith(stop)]
        assert said == text[: min(starts)]


def test_an_unfinished_character_is_said_at_the_end() -> None:
    out = TextStream(Bytes())
    assert [out.add(byte) for byte in "é".encode()[:1]] == [""]
    assert out.finish() == "\ufffd"


def test_a_real_tokenizer_streams_the_text_it_decodes_at_once(tiny_model: Path) -> None:
    codec = FolderCodec(tiny_model)
    text = "The river — 河 — runs. 🚀 Ünïcödé, done."
    tokens = codec.encode(text, add_special_tokens=False)
    out = TextStream(codec)
    assert "".join(out.add(token) for token in tokens) + out.finish() == codec.decode(tokens) == text


def test_special_tokens_are_not_said(tiny_model: Path) -> None:
    codec = FolderCodec(tiny_model)
    assert codec.decode([*codec.encode("word", add_special_tokens=False), *codec.stop_tokens]) == "word"
    assert codec.stop_tokens == (2,)


@pytest.mark.parametrize("stop", [(), ("never",)], ids=["no stop", "a stop string"])
def test_bytes_that_are_no_character_cost_the_same_each(stop: tuple[str, ...]) -> None:
    class Counting(Bytes):
        longest = 0

        def decode(self, tokens: Sequence[int]) -> str:
            self.longest = max(self.longest, len(tokens))
            return super().decode(tokens)

    codec = Counting()
    out = TextStream(codec, stop)
    text = "".join(out.add(0xFF) for _ in range(500)) + out.finish()
    assert text == "\ufffd" * 500
    assert codec.longest < 40


@given(st.binary(max_size=80))
def test_any_bytes_give_the_text_that_they_decode_to_at_once(data: bytes) -> None:
    out = TextStream(Bytes())
    assert "".join(out.add(byte) for byte in data) + out.finish() == data.decode(errors="replace")


def test_stop_strings_see_control_tokens_and_the_text_does_not(tiny_model: Path) -> None:
    codec = FolderCodec(tiny_model)
    end = codec.encode("<|im_end|>", add_special_tokens=False)
    tokens = codec.encode("the river", add_special_tokens=False)
    out = TextStream(codec, ["<|im_end|>\n"])
    said = [out.add(token) for token in (*end, *tokens, *end, *codec.encode("\n", add_special_tokens=False))]
    assert "".join(said) == "the river"
    assert out.is_stopped
    shown = TextStream(codec, ["river<|im_end|>"])
    assert "".join(shown.add(token) for token in (*tokens, *end)) == "the "
    assert shown.is_stopped
