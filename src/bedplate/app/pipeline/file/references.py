"""`$name` in a setting: which steps a value needs, and the value once their paths are known.

`$name` and `${name}` stand for a path anywhere in a text, `$name/part` for something inside it, `$$` for a dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bedplate.app.pipeline.file.walking import changed, walk
from bedplate.core.json import Json
from bedplate.core.settings import KeyPath

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>[^}]*)\}|(?P<bare>[A-Za-z][A-Za-z0-9_-]*))")


def references_in(value: Json, path: KeyPath = ()) -> Iterator[tuple[str, KeyPath]]:
    """Names that `value` refers to, each with the path of the text that does; in order, repeats included."""
    for place, leaf in walk(value, path):
        for match in _REFERENCE.finditer(leaf) if isinstance(leaf, str) else ():
            if match["dollar"] is None:
                yield match["braced"] if match["braced"] is not None else match["bare"], place


def resolved(value: Json, paths: Mapping[str, str]) -> Json:
    """`value` with every reference replaced; a name that `paths` does not have stays as it is written."""
    return changed(value, lambda _, leaf: replaced(leaf, paths) if isinstance(leaf, str) else leaf)


def replaced(text: str, paths: Mapping[str, str]) -> str:
    """The same for one text."""
    return _REFERENCE.sub(lambda match: _replacement(match, paths), text)


def escaped(text: str) -> str:
    """The text that `resolved` turns into `text`."""
    return text.replace("$", "$$")


def _replacement(match: re.Match[str], paths: Mapping[str, str]) -> str:
    if match["dollar"]:
        return "$"
    return paths.get(match["braced"] or match["bare"], match[0])
