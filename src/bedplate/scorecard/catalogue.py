"""Reads the indicator files; what is wrong in one is said with its file and line.

The files are YAML composed into nodes first, because only nodes know their lines; they are checked against the
`Indicator` dataclass like every other file that people write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import yaml

from bedplate.core.errors import ConfigurationError
from bedplate.core.settings import Path, Source, read_settings
from bedplate.scorecard.indicator import Indicator, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class _IndicatorFile:
    indicators: tuple[Indicator, ...]


@cache
def all_indicators() -> tuple[Indicator, ...]:
    """Every indicator that ships with bedplate, by part.

    Raises:
        ConfigurationError: A file is not valid; names file and line.
    """
    folder = resources.files("bedplate.scorecard").joinpath("indicators")
    read = [indicator for part in Part for indicator in read_indicators(folder.joinpath(f"{part.value}.yaml"))]
    seen: set[str] = set()
    for indicator in read:
        if indicator.id in seen:
            raise ConfigurationError(f"indicator '{indicator.id}' is given twice", where=f"{indicator.part.value}.yaml")
        seen.add(indicator.id)
    return tuple(read)


def read_indicators(file: Traversable) -> tuple[Indicator, ...]:
    """The indicators of one file.

    Raises:
        ConfigurationError: Not YAML, an unknown or missing key, a wrong value; names `file:line`.
    """
    text = file.read_text(encoding="utf-8")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file.name}:{mark.line + 1}" if mark else file.name
        raise ConfigurationError("not YAML", where=where, seen=getattr(error, "problem", None) or str(error)) from error
    lines: dict[Path, int] = {}
    for path, line in _lines(node, ()) if node is not None else ():
        if path in lines:
            raise ConfigurationError(f"'{path[-1]}' is given twice", where=f"{file.name}:{line}", seen=f"line {lines[path]}")
        lines[path] = line
    return read_settings(_IndicatorFile, value, Source(file=file.name, lines=lines)).indicators


def _lines(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from ((place, line) for place, line in _lines(child, (*path, key.value)) if place != (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _lines(child, (*path, index))
