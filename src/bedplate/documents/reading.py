"""Reads a file: plain JSON values, and the line of every key.

Only JSON comes out: mappings with text keys, lists, text, numbers, booleans, null; `scalars.py` says what a bare word means.
Refused, each with its line: a key given twice, a merge key (`<<`), a tag, a number that cannot be meant, and files whose
aliases unfold to more than a file of that size could hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bedplate.core.errors import ConfigurationError, NotFoundError, UnavailableError
from bedplate.core.json import Json, JsonObject, plain
from bedplate.core.settings import KeyPath, Mistakes, Source
from bedplate.documents.scalars import TAG, Loader, ScalarError, scalar_value

MAX_FILE_BYTES = 1 << 20
"""Of a file that people write by hand; a reader of larger ones asks for more."""
_MIN_VALUES = 50_000
"""A file with fewer values is never refused for their number."""
_MAX_DEPTH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says, and where it says it."""

    value: JsonObject
    source: Source
    folder: Path
    """Relative paths in the file start here."""


def read_document(file: Path, *, expected: str = "version, name and steps", max_bytes: int = MAX_FILE_BYTES) -> Document:
    """Read a YAML or JSON file.

    Args:
        file: The file; UTF-8.
        expected: Keys of such a file, for the error that says that it is no mapping.
        max_bytes: Larger files are refused before they are read.

    Raises:
        NotFoundError: There is no such file.
        UnavailableError: It cannot be read.
        ConfigurationError: It is not the YAML described above; names `file:line`.
    """
    return parse_document(_read_text(file, max_bytes), str(file), file.resolve().parent, expected=expected)


def parse_document(text: str, name: str, folder: Path, *, expected: str = "version, name and steps") -> Document:
    """The same for text that was read already; `name` stands for the file in errors, which are those of `read_document`."""
    lines: dict[KeyPath, int] = {}
    source = Source(file=name, lines=lines)
    try:
        node = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, name) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(
            "cannot be read as YAML",
            where=name,
            seen=str(error) or "nested too deep",
            expected="printable text, nested moderately",
        ) from None
    if not isinstance(node, yaml.MappingNode):
        seen = "an empty file" if node is None else f"a {node.tag.removeprefix(TAG)}"
        raise ConfigurationError("must be a mapping", where=f"{name}:1", seen=seen, expected=expected)
    # Each value takes at least one character, so only aliases can make more values than there are characters.
    mistakes = Mistakes()
    try:
        value = _Reader(source, lines, max(_MIN_VALUES, len(text)), mistakes).read(node, ())
    except _TooLargeError as error:
        mistakes.found.append(error.mistake)
    mistakes.raise_all()
    assert isinstance(value, Mapping)
    return Document(value=value, source=source, folder=folder)


def document_from(value: Mapping[str, Any], folder: Path) -> Document:
    """The same for a mapping made in Python."""
    read = plain(value)
    assert isinstance(read, Mapping)
    return Document(value=read, source=Source(), folder=folder)


def _read_text(file: Path, max_bytes: int) -> str:
    try:
        if file.stat().st_size > max_bytes:
            raise ConfigurationError("the file is too large", where=str(file), expected=f"at most {max_bytes} bytes")
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = ", ".join(sorted(item.name for item in file.resolve().parent.glob("*.y*ml"))[:8])
        raise NotFoundError(
            "there is no such file", seen=file, next_step=f"in the same folder: {near}" if near else "check the path"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            "is not UTF-8 text",
            where=str(file),
            seen=f"byte {error.start}: {error.reason}",
            next_step="check the path, or save the file as UTF-8",
        ) from None
    except OSError as error:
        raise UnavailableError(
            "the file cannot be read",
            seen=f"{file}: {error.strerror}",
            next_step="check the path and the file's permissions",
        ) from None


def _syntax_error(error: yaml.MarkedYAMLError, name: str) -> ConfigurationError:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}" if mark else name
    context = f" {error.context}" if error.context else ""
    is_cut = "<stream end>" in str(error.problem)
    next_step = "is the file cut short?" if is_cut else "check colons, brackets and indentation"
    return ConfigurationError(f"not YAML: {error.problem}{context}", where=where, next_step=next_step)


class _TooLargeError(Exception):
    """Reading ends here: going on would cost more than the file is worth."""

    def __init__(self, mistake: ConfigurationError) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


class _Reader:
    """Turns nodes into values, filling the table of lines as it goes; what cannot be meant goes to `mistakes`."""

    def __init__(self, source: Source, lines: dict[KeyPath, int], max_values: int, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._source, self._lines, self._max_values, self._num_values = source, lines, max_values, 0

    def read(self, node: yaml.Node, path: KeyPath) -> Json:
        line = node.start_mark.line + 1
        self._lines.setdefault(path, line)
        self._num_values += 1
        if self._num_values > self._max_values or len(path) > _MAX_DEPTH:
            mistake = ConfigurationError(
                "too many values, or nested too deep",
                where=self._source.where(path[:1]),
                expected=f"at most {self._max_values} values, nested at most {_MAX_DEPTH} deep",
                next_step="write out repeated parts instead of using aliases (*name)",
            )
            raise _TooLargeError(mistake)
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._read_scalar(node, line)

    def _read_mapping(self, node: yaml.MappingNode, path: KeyPath) -> Json:
        value: dict[str, Json] = {}
        keys: set[str] = set()
        for key_node, item in node.value:
            with self._mistakes.collected():
                key = self._read_key(key_node, keys, path)
                keys.add(key)
                self._lines[(*path, key)] = key_node.start_mark.line + 1
                value[key] = self.read(item, (*path, key))
        return value

    def _read_key(self, node: yaml.Node, known: Collection[str], path: KeyPath) -> str:
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode):
            raise ConfigurationError("a key must be plain text", where=self._where(line), expected="key: value")
        key = str(node.value)
        if key == "<<" and node.style is None:
            raise ConfigurationError(
                "merge keys ('<<') are not supported", where=self._where(line), expected="every key written out"
            )
        if key in known:
            raise ConfigurationError(
                f"'{key}' is given twice",
                where=self._where(line),
                seen=f"first on line {self._lines[(*path, key)]}",
                next_step="remove or rename one of them",
            )
        return key

    def _read_scalar(self, node: yaml.Node, line: int) -> Json:
        try:
            return scalar_value(str(node.value), str(node.tag))
        except ScalarError as error:
            raise ConfigurationError(error.what, where=self._where(line), seen=error.seen, expected=error.expected) from None

    def _where(self, line: int) -> str:
        return f"{self._source.file}:{line}"
