"""Texts in a language: catalogues in gettext's own format, read once a process.

A catalogue is a `.po` file, as translators and their tools know it. Reading it takes some 5 ms for 300 texts, so there is
nothing to compile and nothing to go stale. Entries that are marked fuzzy (guessed by a tool, not yet looked at) and empty
ones count as not translated: the English text is shown. Format: GNU gettext manual, "The Format of PO Files".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

from bedplate.core.errors import ConfigurationError
from bedplate.core.text import AnyText
from bedplate.locale.languages import Language


def in_language(words: AnyText, language: Language) -> str:
    """A text in `language`; in English where its catalogue does not have it. A plain string stays as it is."""
    if isinstance(words, str):
        return words
    known = catalogue(language)
    return words.rendered(lambda template: known.get(template, template))


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Template -> translation of every text that is translated; empty for English."""
    if language is Language.ENGLISH:
        return {}
    file = resources.files("bedplate.locale").joinpath(f"{language.value}/LC_MESSAGES/bedplate.po")
    return read_catalogue(file.read_text(encoding="utf-8"))


def read_catalogue(source: str) -> dict[str, str]:
    """The translated entries of a `.po` file; plural forms and contexts are not used by bedplate.

    Raises:
        ConfigurationError: A line is not of the format; names its number.
    """
    found: dict[str, str] = {}
    for entry in _entries(source):
        if entry.get("msgid") and entry.get("msgstr") and "fuzzy" not in entry.get("flags", ""):
            found[entry["msgid"]] = entry["msgstr"]
    return found


def _entries(source: str) -> Iterator[dict[str, str]]:
    entry: dict[str, str] = {}
    field = ""
    for number, line in enumerate((*source.splitlines(), ""), start=1):
        if not line.strip():
            yield entry
            entry, field = {}, ""
        elif line.startswith("#"):
            entry["flags"] = entry.get("flags", "") + (line if line.startswith("#,") else "")
        else:
            keyword, _, rest = line.partition('"')
            field = keyword.strip() or field
            if field not in ("msgid", "msgstr") or not rest.endswith('"'):
                where = f"line {number} of a catalogue"
                raise ConfigurationError("invalid entry", where=where, seen=line, expected='msgid "…" or msgstr "…"')
            entry[field] = entry.get(field, "") + ast.literal_eval(f'"{rest}')
