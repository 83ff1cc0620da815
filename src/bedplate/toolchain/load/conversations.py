"""Loads for measuring a server: conversations of exact token counts, drawn from seeded text.

A load is a list of conversations; a conversation is a list of turns; a turn's prompt is everything before it (answers
included) and its own tokens. So a chat, questions about documents, and independent prompts have one form.

    chat        sessions of some turns that share a system prompt
    documents   questions about a few long texts, in mixed order: the text is asked about again and again
    plain       independent prompts, nothing to reuse
    a file      JSON lines in UTF-8, each `{"prompt": "…"}` or `{"turns": ["…", …]}`; other keys are ignored
"""

from __future__ import annotations

import codecs
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

from bedplate.core.errors import NotFoundError, UsageError
from bedplate.core.settings import Range, settings
from bedplate.core.units import Count

Turn: TypeAlias = tuple[int, ...]
Conversation: TypeAlias = tuple[Turn, ...]
"""Tokens of each turn; the first turn's include what comes before it."""
KINDS = ("chat", "documents", "plain")
_COMMON_WORDS = (
    "the a of and to in is was for on with as by at from that it this an are be which or had were has its not but have "
    "one two first new city river water year time people world state war part area house name line day school work life "
    "government family system company history north south early later known called made found used large small great "
    "also after between during under over most many several other such only can may when where who than then there"
)


@settings
class LoadSettings:
    """The shape of a load."""

    kind: str = "chat"
    """`chat`, `documents`, `plain`, or a file of JSON lines."""
    streams: Annotated[Count, Range(1)] = 6
    """Concurrent requests; in `chat` also the number of sessions."""
    turns: Annotated[Count, Range(1)] = 5
    """Turns of a chat; questions about each document; prompts of each stream in `plain`."""
    shared_tokens: Annotated[Count, Range(0)] = 1000
    """Common system prompt of a chat; length of a document."""
    prompt_tokens: Annotated[Count, Range(1)] = 250
    """New tokens of a turn; length of a question; all of a prompt in `plain`."""
    output_tokens: Annotated[Count, Range(1)] = 16
    """Tokens of each answer."""
    documents: Annotated[Count, Range(1)] = 20
    """Number of documents."""
    seed: int = 0
    """Same seed, same tokens."""


def make_conversations(settings: LoadSettings, encode: Callable[[str], Sequence[int]]) -> tuple[Conversation, ...]:
    """The conversations of a load.

    Args:
        settings: Its shape.
        encode: The model's tokenizer.

    Raises:
        NotFoundError: No such file.
        UsageError: A file that is not a load.
    """
    if settings.kind not in KINDS:
        return _from_file(Path(settings.kind), encode)
    random_words = random.Random(settings.seed)  # noqa: S311 (a load, not a secret)

    def text(num_tokens: int) -> Turn:
        tokens: list[int] = []
        while len(tokens) < num_tokens:
            tokens += encode(_sentence(random_words))
        return tuple(tokens[:num_tokens])

    if settings.kind == "chat":
        system = text(settings.shared_tokens)
        sessions = [[text(settings.prompt_tokens) for _ in range(settings.turns)] for _ in range(settings.streams)]
        return tuple((system + session[0], *session[1:]) for session in sessions)
    if settings.kind == "plain":
        return tuple((text(settings.prompt_tokens),) for _ in range(settings.streams * settings.turns))
    documents = [text(settings.shared_tokens) for _ in range(settings.documents)]
    questions = [(document + text(settings.prompt_tokens),) for document in documents for _ in range(settings.turns)]
    random_words.shuffle(questions)
    return tuple(questions)


def _sentence(words: random.Random) -> str:
    return " " + " ".join(words.choices(_COMMON_WORDS.split(), k=words.randint(6, 16))).capitalize() + "."


def _from_file(file: Path, encode: Callable[[str], Sequence[int]]) -> tuple[Conversation, ...]:
    """Lines end at line feeds only: other Unicode separators may occur inside a JSON string."""
    if not file.is_file():
        raise NotFoundError("no such load", seen=file, expected=f"{', '.join(KINDS)}, or a file of JSON lines")
    conversations = []
    for number, line in enumerate(file.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            turns = tuple(tuple(encode(turn)) for turn in _turns(json.loads(line.decode())))
            if not all(turns):
                raise ValueError("a turn has no tokens")
        except ValueError as error:
            raise UsageError(
                "invalid line in a load file",
                seen=f"{file}:{number}: {line[:60].decode(errors='replace')} ({error})",
                expected='{"prompt": "…"} or {"turns": ["…", …]}',
            ) from error
        conversations.append(turns)
    if not conversations:
        raise UsageError("the load is empty", seen=file, expected="one conversation per line")
    return tuple(conversations)


def _turns(data: object) -> list[str]:
    """ValueError, with the reason, where a line is not a conversation."""
    if not isinstance(data, dict) or ("prompt" in data) == ("turns" in data):
        raise ValueError("it needs either 'prompt' or 'turns'")
    turns = data["turns"] if "turns" in data else [data["prompt"]]
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) for turn in turns):
        raise ValueError("'turns' is a list of strings" if "turns" in data else "'prompt' is a string")
    return turns
