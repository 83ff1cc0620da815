"""Documents of text files, one at a time: a file of any size needs the memory of its longest document.

JSON lines    one document per line, in a field of it
plain text    documents are separated by two or more blank lines; a file without such breaks is cut into documents of about
              4,000 characters, so that some can be held out: at paragraph ends, in long paragraphs at line ends, in long
              lines between words
MediaWiki     see wikipedia.py
Parquet       one document per row, in a column
"""

from __future__ import annotations

import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bedplate.core.errors import UsageError
from bedplate.toolchain.data.dropped import Dropped, DropReason
from bedplate.toolchain.data.text_files import TextFile, TextFormat, find_text_files, import_pyarrow
from bedplate.toolchain.data.wikipedia import wikipedia_documents

CUT_CHARACTERS = 4000
TEXT_FIELD = "text"
_ROWS_AT_ONCE = 256
_SEEN_CHARACTERS = 60
_TO_UTF_8 = "convert it to UTF-8: iconv -f ENCODING -t utf-8"


def read_documents(source: Path, text_field: str = TEXT_FIELD) -> Iterator[str]:
    """Documents of a file or folder, in order; see `find_text_files` for what is read.

    Args:
        source: File or folder.
        text_field: Field of a JSON line or column of a Parquet file that holds the text.

    Raises:
        NotFoundError: Nothing there.
        UsageError: A file cannot be read; names it, and the line.
        UnavailableError: A package that reads it is not installed.
    """
    for file in find_text_files(source).files:
        yield from documents_of(file, text_field)


def documents_of(file: TextFile, text_field: str = TEXT_FIELD, dropped: Dropped | None = None) -> Iterator[str]:
    """Documents of one file; see `read_documents`. What is no document is counted in `dropped`."""
    dropped = Dropped() if dropped is None else dropped
    try:
        match file.format:
            case TextFormat.JSON_LINES:
                yield from _jsonl_documents(file, text_field)
            case TextFormat.PLAIN:
                yield from _plain_documents(file)
            case TextFormat.MEDIAWIKI:
                yield from wikipedia_documents(file, dropped)
            case TextFormat.PARQUET:
                yield from _parquet_documents(file.path, text_field, dropped)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the content
        seen = f"{file.path}: {error}"
        raise UsageError("the file is truncated or damaged", seen=seen, next_step="fetch it again") from error


def _jsonl_documents(file: TextFile, text_field: str) -> Iterator[str]:
    expected = f'{{"{text_field}": "…"}} on each line'
    with file.open() as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                text = json.loads(line)[text_field]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                seen, next_step = f"{file.path}:{number}: {type(error).__name__} {error}", _mending(error, line)
                raise UsageError("a line is not a document", seen=seen, expected=expected, next_step=next_step) from error
            if not isinstance(text, str):
                seen = f"{file.path}:{number}: '{text_field}' is {json.dumps(text)[:_SEEN_CHARACTERS]}"
                raise UsageError("a line is not a document", seen=seen, expected=expected)
            _check_characters(text, f"{file.path}:{number}")
            yield text


def _mending(error: Exception, line: bytes) -> str | None:
    """What to do about a line that could not be read."""
    if isinstance(error, UnicodeDecodeError):
        return _TO_UTF_8
    if line.lstrip().startswith(b"["):
        return "make lines of the list: jq -c '.[]' FILE > FILE.jsonl"
    return "name the field that holds the text with 'text_field'" if isinstance(error, KeyError) else None


def _check_characters(text: str, place: str) -> None:
    """JSON can name half of a character by its escape, which no encoding can write."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            "a line holds half of a character",
            seen=f"{place}: \\u{ord(text[error.start]):04x} alone",
            expected="surrogates in pairs, such as \\ud83d\\ude00",
            next_step="remove it from the line, or write the line again from its source",
        ) from error


def _parquet_documents(path: Path, column: str, dropped: Dropped) -> Iterator[str]:
    arrow: Any = import_pyarrow()
    try:
        with arrow.parquet.ParquetFile(path) as file:
            _check_column(path, column, file.schema_arrow, arrow)
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[column]):
                dropped[DropReason.NULL] += batch.column(0).null_count
                yield from (text for text in batch.column(0).to_pylist() if text is not None)
    except UnicodeDecodeError as error:
        raise UsageError("the text is not UTF-8", seen=f"{path}, column '{column}': {error}", next_step=_TO_UTF_8) from error
    except arrow.ArrowException as error:
        raise UsageError("not a complete Parquet file", seen=f"{path}: {error}", next_step="fetch it again") from error


def _check_column(path: Path, column: str, schema: Any, arrow: Any) -> None:
    types = {field.name: field.type for field in schema}
    if column not in types:
        next_step = "name the column that holds the text with 'text_field'"
        raise UsageError(f"no column '{column}'", seen=f"{path}: {', '.join(types)}", next_step=next_step)
    stored = types[column]
    values = stored.value_type if arrow.types.is_dictionary(stored) else stored
    if not (arrow.types.is_string(values) or arrow.types.is_large_string(values)):
        raise UsageError(f"column '{column}' holds no text", seen=f"{path}: {types[column]}", expected="strings")


def _plain_documents(file: TextFile) -> Iterator[str]:
    """Two passes: whether the file has breaks between documents shows at its end only."""
    try:
        parts = (part.strip() for part in _joined(_lines(file), _is_document_break))
        if len(list(zip(range(2), filter(None, parts), strict=False))) > 1:
            yield from filter(None, (part.strip() for part in _joined(_lines(file), _is_document_break)))
        else:
            yield from _cut(_joined(_lines(file), _is_paragraph_break))
    except UnicodeDecodeError as error:
        raise UsageError("the text is not UTF-8", seen=f"{file.path}: {error}", next_step=_TO_UTF_8) from error


def _lines(file: TextFile) -> Iterator[str]:
    with io.TextIOWrapper(file.open(), encoding="utf-8-sig") as stream:
        yield from (line.removesuffix("\n") for line in stream)


def _is_document_break(num_blank_lines: int) -> bool:
    return num_blank_lines >= 2


def _is_paragraph_break(num_blank_lines: int) -> bool:
    return num_blank_lines >= 1


def _joined(lines: Iterator[str], is_break: Callable[[int], bool]) -> Iterator[str]:
    """Runs of lines, cut where enough blank ones follow each other; fewer stay in the text."""
    current: list[str] = []
    num_blank = 0
    for line in lines:
        if not line.strip():
            num_blank += 1
            continue
        if current and is_break(num_blank):
            yield "\n".join(current)
            current = []
        elif current:
            current += [""] * num_blank
        current.append(line)
        num_blank = 0
    if current:
        yield "\n".join(current)


def _cut(paragraphs: Iterator[str]) -> Iterator[str]:
    current: list[str] = []
    length = 0
    for paragraph in paragraphs:
        for piece in _pieces(paragraph):
            current.append(piece)
            length += len(piece)
            if length >= CUT_CHARACTERS:
                yield "\n\n".join(current)
                current, length = [], 0
    if current:
        yield "\n\n".join(current)


def _pieces(paragraph: str) -> Iterator[str]:
    """The paragraph, or parts of about CUT_CHARACTERS of one that is more than twice as long."""
    start = 0
    while len(paragraph) - start > 2 * CUT_CHARACTERS:
        end = _break_between(paragraph, start + CUT_CHARACTERS, start + 2 * CUT_CHARACTERS)
        yield paragraph[start:end].strip()
        start = end
    yield paragraph[start:].strip()


def _break_between(text: str, low: int, high: int) -> int:
    """Where to cut between `low` and `high`: behind a line, else behind a word, else anywhere (Chinese has no blanks)."""
    return next((at + 1 for mark in "\n " if (at := text.find(mark, low, high)) >= 0), low)
