"""Loads: exact shapes from a seed, and files of which every line is checked."""

from pathlib import Path

import pytest

from bedplate.core.errors import NotFoundError, UsageError
from bedplate.toolchain.load.conversations import Conversation, LoadSettings, make_conversations
from bedplate.toolchain.serve.codec import FolderCodec


def test_a_chat_load_has_the_exact_shape_asked_for(tiny_model: Path) -> None:
    codec = FolderCodec(tiny_model)
    settings = LoadSettings(streams=3, turns=4, shared_tokens=100, prompt_tokens=25)
    sessions = make_conversations(settings, lambda text: codec.encode(text, add_special_tokens=False))
    assert [[len(turn) for turn in session] for session in sessions] == [[125, 25, 25, 25]] * 3
    assert len({tuple(session[0][:100]) for session in sessions}) == 1
    assert len({tuple(session[0][100:]) for session in sessions}) == 3
    assert sessions == make_conversations(settings, lambda text: codec.encode(text, add_special_tokens=False))


def read(folder: Path, content: bytes) -> tuple[Conversation, ...]:
    file = folder / "load.jsonl"
    file.write_bytes(content)
    return make_conversations(LoadSettings(kind=str(file)), lambda text: list(text.encode()))


def test_a_line_is_a_prompt_or_turns(tmp_path: Path) -> None:
    found = read(tmp_path, b'{"prompt": "ab", "id": 7}\n{"turns": ["c", "de"]}')
    assert found == (((97, 98),), ((99,), (100, 101)))


@pytest.mark.parametrize(
    "content",
    [
        b'\xef\xbb\xbf{"prompt": "a"}\n{"prompt": "b"}\n',
        b'{"prompt": "a"}\r\n{"prompt": "b"}\r\n',
        b'\n  \n{"prompt": "a"}\n\n{"prompt": "b"}\n\n',
    ],
    ids=["byte order mark", "carriage returns", "blank lines"],
)
def test_what_editors_add_is_allowed(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == (((97,),), ((98,),))


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085"])
def test_only_line_feeds_end_a_line(tmp_path: Path, separator: str) -> None:
    (((*tokens,),),) = read(tmp_path, f'{{"prompt": "a{separator}b"}}\n'.encode())
    assert bytes(tokens).decode() == f"a{separator}b"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1, 2]", "either 'prompt' or 'turns'"),
        (b'"a text"', "either 'prompt' or 'turns'"),
        (b"{}", "either 'prompt' or 'turns'"),
        (b'{"prompt": "a", "turns": ["b"]}', "either 'prompt' or 'turns'"),
        (b'{"prompt": 7}', "'prompt' is a string"),
        (b'{"prompt": null}', "'prompt' is a string"),
        (b'{"turns": "abc"}', "'turns' is a list of strings"),
        (b'{"turns": ["a", 7]}', "'turns' is a list of strings"),
        (b'{"turns": []}', "'turns' is a list of strings"),
        (b'{"prompt": ""}', "no tokens"),
        (b"not json", "Expecting value"),
        (b'{"prompt": "\xff"}', "utf-8"),
        (b'{"prompt": "\\ud800"}', "surrogates"),
    ],
)
def test_a_line_that_is_no_conversation_is_named_with_its_number(tmp_path: Path, line: bytes, reason: str) -> None:
    with pytest.raises(UsageError, match=r"load\.jsonl:3") as refused:
        read(tmp_path, b'{"prompt": "a"}\n\n' + line)
    assert reason in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_conversation_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match="empty"):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_named_with_the_kinds(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="chat, documents, plain"):
        make_conversations(LoadSettings(kind=str(tmp_path / "none")), lambda text: [1])
