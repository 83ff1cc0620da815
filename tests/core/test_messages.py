"""Messages come back as they were sent, and what is not understood is refused by name."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import MessageError
from bedplate.core.json import Json, canonical
from bedplate.core.messages import decode, encode, from_bytes, to_bytes


class Phase(enum.StrEnum):
    WARM = "warm"
    COLD = "cold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    seconds: float
    kind: Literal["loaded"] = "loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    step: int
    loss: float | None = None
    kind: Literal["stepped"] = "stepped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    name: str
    phase: Phase = Phase.WARM
    folder: Path | None = None
    pairs: tuple[tuple[int, float], ...] = ()
    parts: tuple[Loaded | Stepped, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    extra: Json = None


def through_json(message: object) -> Json:
    document: Json = json.loads(canonical(encode(message)))
    return document


@given(
    st.builds(
        Report,
        name=st.text(),
        phase=st.sampled_from(Phase),
        folder=st.none() | st.just(Path("a/b")),
        pairs=st.lists(st.tuples(st.integers(), st.floats(allow_nan=False))).map(tuple),
        parts=st.lists(
            st.builds(Loaded, seconds=st.floats(allow_nan=False)) | st.builds(Stepped, step=st.integers(), loss=st.none())
        ).map(tuple),
        rates=st.dictionaries(st.text(), st.floats(allow_nan=False)),
        extra=st.none() | st.integers() | st.lists(st.text()),
    )
)
def test_a_message_comes_back_as_it_was(report: Report) -> None:
    assert decode(Report, through_json(report)) == report


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_keep_their_meaning(loss: float) -> None:
    back = decode(Stepped, through_json(Stepped(step=1, loss=loss))).loss
    assert back is not None
    assert repr(back) == repr(loss)


words = st.sampled_from(["NaN", "Infinity", "-Infinity", "\\NaN", "\\\\Infinity", "nan", ""])
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | words, inner, max_size=3),
    max_leaves=8,
)


@given(any_json, words)
def test_any_json_comes_back_as_it_was_words_that_read_like_numbers_too(extra: Json, name: str) -> None:
    back = from_bytes(Report, to_bytes(Report(name=name, extra=extra)))
    assert (back.name, repr(back.extra)) == (name, repr(extra))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"step": 1'])
def test_what_is_no_json_is_no_message(data: bytes) -> None:
    with pytest.raises(MessageError, match="not a message"):
        from_bytes(Stepped, data)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"step": 1, "los": 2.0}, "unknown field 'Stepped.los'.*did you mean 'loss'"),
        ({"loss": 2.0}, "lacks 'step'"),
        ({"step": True}, r"Stepped\.step is of another type; seen: True; expected: int"),
        ({"step": "1"}, r"Stepped\.step is of another type"),
        ({"step": 1, "loss": "low"}, r"Stepped\.loss .*expected: float or null"),
        ([], "expected: an object"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(document: Json, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        decode(Stepped, document)


def test_a_wrong_value_deep_inside_is_named_by_its_path() -> None:
    document: Json = {"name": "a", "parts": [{"kind": "loaded", "seconds": 1}, {"kind": "stepped", "step": None}]}
    with pytest.raises(MessageError, match=r"Report\.parts\[1\]\.step"):
        decode(Report, document)


def test_bytes_and_strange_keys_are_not_messages() -> None:
    with pytest.raises(TypeError, match="bytes"):
        encode(Report(name="a", extra=b"raw"))
    with pytest.raises(TypeError, match="not a string"):
        encode(Report(name="a", rates={1: 2.0}))  # type: ignore[dict-item]
