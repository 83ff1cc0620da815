"""Reading a file that people write: YAML to plain JSON values, with the line of every key.

Only JSON comes out: mappings with text keys, lists, text, numbers, booleans, null. A date or a base-60 number (`1:30`,
YAML 1.1) stays text, so that what is read is what was written. Refused, each with its line: a key given twice, a merge
key (`<<`), a tag, a number that is not finite, and files whose aliases unfold to more than a pipeline can sensibly hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bedplate.core.errors import ConfigurationError, NotFoundError, UnavailableError
from bedplate.core.json import Json, JsonObject, plain
from bedplate.core.settings import Path as KeyPath
from bedplate.core.settings import Source

_MAX_FILE_BYTES = 1 << 20
_MAX_NODES = 50_000
_MAX_DEPTH = 50
_YAML = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says, and where it says it."""

    value: JsonObject
    source: Source
    folder: Path
    """Relative paths in the file start here."""


def read_document(file: Path) -> Document:
    """Read a YAML file.

    Raises:
        NotFoundError: There is no such file.
        ConfigurationError: It is not the YAML described above; names `file:line`.
    """
    text = _read_text(file)
    lines: dict[KeyPath, int] = {}
    source = Source(file=str(file), lines=lines)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, file) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError("cannot be read as YAML", where=str(file), seen=str(error) or "too deep") from None
    if not isinstance(node, yaml.MappingNode):
        seen = "an empty file" if node is None else f"a {node.tag.removeprefix(_YAML)}"
        raise ConfigurationError("must be a mapping", where=f"{file}:1", seen=seen, expected="version, name and steps")
    value = _Reader(source, lines).read(node, ())
    assert isinstance(value, Mapping)
    return Document(value=value, source=source, folder=file.resolve().parent)


def document_from(value: Mapping[str, Any], folder: Path) -> Document:
    """The same for a mapping made in Python."""
    read = plain(value)
    assert isinstance(read, Mapping)
    return Document(value=read, source=Source(), folder=folder)


def _read_text(file: Path) -> str:
    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise ConfigurationError(
                "too large for a pipeline file", where=str(file), expected=f"at most {_MAX_FILE_BYTES} bytes"
            )
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = ", ".join(sorted(item.name for item in file.resolve().parent.glob("*.y*ml"))[:8])
        raise NotFoundError(
            "there is no such file", seen=file, next_step=f"beside it lie: {near}" if near else "check the path"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError("is not UTF-8 text", where=str(file), seen=f"byte {error.start}: {error.reason}") from None
    except OSError as error:
        raise UnavailableError("the file cannot be read", seen=f"{file}: {error.strerror}") from None


def _syntax_error(error: yaml.MarkedYAMLError, file: Path) -> ConfigurationError:
    mark = error.problem_mark or error.context_mark
    where = f"{file}:{mark.line + 1}" if mark else str(file)
    context = f" {error.context}" if error.context else ""
    return ConfigurationError(
        f"not YAML: {error.problem}{context}", where=where, next_step="check colons, brackets and indentation"
    )


class _Reader:
    """Turns nodes into values, filling the table of lines as it goes."""

    def __init__(self, source: Source, lines: dict[KeyPath, int]) -> None:
        self._source, self._lines, self._num_nodes = source, lines, 0

    def read(self, node: yaml.Node, path: KeyPath) -> Json:
        line = node.start_mark.line + 1
        self._lines.setdefault(path, line)
        self._num_nodes += 1
        if self._num_nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            expected = f"at most {_MAX_NODES} values, nested at most {_MAX_DEPTH} deep"
            raise ConfigurationError(
                "too many values, or nested too deep", where=self._source.where(path[:1]), expected=expected
            )
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._read_scalar(node, line)

    def _read_mapping(self, node: yaml.MappingNode, path: KeyPath) -> Json:
        value: dict[str, Json] = {}
        for key_node, item in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == f"{_YAML}merge":
                raise ConfigurationError("a key must be plain text", where=self._where(line), expected="key: value")
            key = str(key_node.value)
            if key in value:
                before = self._lines[(*path, key)]
                raise ConfigurationError(f"'{key}' is given twice", where=self._where(line), seen=f"first on line {before}")
            self._lines[(*path, key)] = line
            value[key] = self.read(item, (*path, key))
        return value

    def _read_scalar(self, node: yaml.Node, line: int) -> Json:
        text, kind = str(node.value), str(node.tag).removeprefix(_YAML)
        if kind in ("str", "timestamp", "value"):
            return text
        if kind == "null":
            return None
        if kind in ("bool", "int", "float"):
            return text if ":" in text else self._number(node, line)
        raise ConfigurationError("tags are not understood", where=self._where(line), seen=node.tag, expected="plain values")

    def _number(self, node: yaml.Node, line: int) -> Json:
        loader = yaml.SafeLoader("")
        try:
            value = loader.construct_object(node)
        except (ValueError, KeyError) as error:
            raise ConfigurationError("not a number", where=self._where(line), seen=node.value) from error
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigurationError("a number must be finite", where=self._where(line), seen=node.value)
        return value  # type: ignore[no-any-return]

    def _where(self, line: int) -> str:
        return f"{self._source.file}:{line}"
