"""Where documents come from: a user's own files, or a MediaWiki export.

file.jsonl      one document a line, in the field `text`
file.txt        documents stand apart by two or more blank lines; a file without such breaks is cut at paragraph
                ends into documents of about 4,000 characters, so that some can be held out
*.xml[.bz2]     a MediaWiki export (see wikipedia.py); also the names `…pages-articles….bz2` that dumps have
folder/         all such files in it, in the order of their names
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from bedplate.core.errors import NotFoundError, UsageError
from bedplate.toolchain.data.wikipedia import wikipedia_documents

CUT_CHARACTERS = 4000
SUFFIXES = (".jsonl", ".txt", ".xml", ".bz2")


def read_documents(source: Path) -> Iterator[str]:
    """Documents of a file or folder, in order.

    Raises:
        NotFoundError: Nothing there.
        UsageError: A kind of file that is not known, or one that cannot be read; it names the line.
    """
    if source.is_dir():
        files = sorted(file for file in source.rglob("*") if file.is_file() and file.suffix in SUFFIXES)
        if not files:
            raise NotFoundError("no text in the folder", seen=source, expected=", ".join(f"*{suffix}" for suffix in SUFFIXES))
    elif source.is_file():
        files = [source]
    else:
        raise NotFoundError(
            "no such text", seen=source, expected="a .txt or .jsonl file, a folder of them, or wikipedia-sample"
        )
    for file in files:
        yield from _documents_of(file)


def _documents_of(file: Path) -> Iterator[str]:
    if file.suffix == ".jsonl":
        return _jsonl_documents(file)
    if file.suffix == ".txt":
        return _text_documents(file)
    if file.suffix in (".xml", ".bz2"):
        return wikipedia_documents(file)
    raise UsageError("a kind of text that is not known", seen=file, expected=", ".join(SUFFIXES))


def _jsonl_documents(file: Path) -> Iterator[str]:
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError) as error:
                seen = f"{file}:{number}: {type(error).__name__} {error}"
                raise UsageError("a line that is no document", seen=seen, expected='{"text": "…"} on each line') from error
            if not isinstance(text, str):
                raise UsageError("a line that is no document", seen=f"{file}:{number}", expected="text in the field 'text'")
            yield text


def _text_documents(file: Path) -> Iterator[str]:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            "the text is not UTF-8", seen=f"{file}: {error}", next_step="convert it with iconv -t utf-8"
        ) from error
    documents = [part.strip() for part in re.split(r"\n[ \t]*\n[ \t]*\n\s*", text) if part.strip()]
    yield from documents if len(documents) > 1 else _cut(text)


def _cut(text: str) -> Iterator[str]:
    current: list[str] = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        current.append(paragraph)
        if sum(map(len, current)) >= CUT_CHARACTERS:
            yield "\n\n".join(current)
            current = []
    if current:
        yield "\n\n".join(current)
