"""Reads the indicator files; errors name file and line.

They are checked against the `Indicator` dataclass like every other file that people write.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from bedplate.core.errors import ConfigurationError
from bedplate.core.settings import read_settings
from bedplate.documents.reading import parse_document
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
            where = f"{indicator.part.value}.yaml"
            raise ConfigurationError(f"indicator '{indicator.id}' is defined twice", where=where, expected="each id once")
        seen.add(indicator.id)
    return tuple(read)


def read_indicators(file: Traversable) -> tuple[Indicator, ...]:
    """The indicators of one file.

    Raises:
        ConfigurationError: Not YAML, an unknown or missing key, a wrong value; names `file:line`.
    """
    document = parse_document(file.read_text(encoding="utf-8"), file.name, Path(), expected="indicators")
    return read_settings(_IndicatorFile, document.value, document.source).indicators
