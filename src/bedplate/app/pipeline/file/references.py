"""`$name` in a setting: which steps a value needs, and the value once their paths are known.

`$name` and `${name}` stand for a path anywhere in a text, `$name/part` for something inside it, `$$` for a dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bedplate.core.json import Json
from bedplate.core.settings import KeyPath

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>[^}]*)\}|(?P<bare>[A-Za-z][A-Za-z0-9_-]*))")


def references_in(value: Json, path: KeyPath) -> Iterator[tuple[str, KeyPath]]:
    """Names that `value` refers to, each with the path of the text that does; in order, repeats included."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            if match["dollar"] is None:
                yield match["braced"] if match["braced"] is not None else match["bare"], path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from references_in(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from references_in(item, (*path, index))


def resolved(value: Json, paths: Mapping[str, str]) -> Json:
    """`value` with every reference replaced; a name that `paths` does not have stays as it is written."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _replacement(match, paths), value)
    if isinstance(value, Mapping):
        return {key: resolved(item, paths) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(item, paths) for item in value]
    return value


def _replacement(match: re.Match[str], paths: Mapping[str, str]) -> str:
    if match["dollar"]:
        return "$"
    return paths.get(match["braced"] or match["bare"], match[0])
