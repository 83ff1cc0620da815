"""Streams of text: whole characters, nothing of a stop string, and in the end the same text as at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UsageError
from bedplate.service.openai.chat import ChatTemplate
from bedplate.service.openai.detokenise import TextStream
from bedplate.service.openai.errors import ApiError
from bedplate.toolchain.serve.codec import FolderCodec


class Bytes:
    """A tokenizer of bytes: every character beyond ASCII spans several tokens."""

    chat_template: str | None = None
    special_tokens: Mapping[str, str] = {}
    stop_tokens: tuple[int, ...] = ()

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode(errors="replace")


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


def test_the_template_of_the_model_makes_the_prompt(tiny_model: Path) -> None:
    prompt = ChatTemplate(FolderCodec(tiny_model)).render([{"role": "user", "content": "Hi"}])
    assert prompt == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_a_template_may_ask_for_the_date_and_leave_a_loop() -> None:
    codec = Bytes()
    codec.chat_template = (
        "{{ strftime_now('%Y') | length }}{% for message in messages %}{{ message.content }}{% break %}{% endfor %}"
    )
    assert ChatTemplate(codec).render([{"content": "first"}, {"content": "second"}]) == "4first"


def test_a_template_that_is_no_template_is_refused_at_the_start() -> None:
    codec = Bytes()
    codec.chat_template = "{% for %}"
    with pytest.raises(UsageError, match="chat template"):
        ChatTemplate(codec)


@pytest.mark.parametrize(
    "template",
    [None, "{{ raise_exception('no system role') }}", "{{ ''.__class__.__mro__ }}"],
    ids=["none", "refuses", "breaks out"],
)
def test_a_template_that_cannot_be_used_is_a_bad_request(template: str | None) -> None:
    codec = Bytes()
    codec.chat_template = template
    with pytest.raises(ApiError) as caught:
        ChatTemplate(codec).render([{"role": "user", "content": "Hi"}])
    assert caught.value.status == 400
