"""A text that people read exists in every language at once; the place that shows it chooses.

So a value, a reason or a heading travels through the scorecard as one `Text`, a page can hold all languages, and a
language that lacks a key is found by a test instead of by a reader.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from bedplate.core.errors import NotFoundError, did_you_mean


class Language(enum.StrEnum):
    """Languages that bedplate speaks."""

    ENGLISH = "en"
    CHINESE = "zh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text in all languages."""

    en: str
    """English."""
    zh: str
    """Chinese (simplified)."""

    def spoken_in(self, language: Language) -> str:
        """The text in `language`."""
        return self.zh if language is Language.CHINESE else self.en


def verbatim(text: str) -> Text:
    """A text that is the same in all languages: a name, a command, a user's own words."""
    return Text(en=text, zh=text)


def text(key: str, **values: object) -> Text:
    """The text named `key`, with `{names}` filled in; a value that is a `Text` is spoken in each language.

    Raises:
        NotFoundError: No language file has the key.
        KeyError: The text wants a value that was not given.
    """
    spoken = {language: _fill(table(language), key, language, values) for language in Language}
    return Text(en=spoken[Language.ENGLISH], zh=spoken[Language.CHINESE])


@cache
def table(language: Language) -> dict[str, str]:
    """All keys of one language."""
    source = resources.files("bedplate.locale").joinpath(f"texts.{language.value}.yaml").read_text(encoding="utf-8")
    return {str(key): str(value) for key, value in yaml.safe_load(source).items()}


def _fill(known: dict[str, str], key: str, language: Language, values: dict[str, object]) -> str:
    if key not in known:
        raise NotFoundError(f"no text '{key}' in language '{language.value}'", seen=key, next_step=did_you_mean(key, known))
    spoken = {name: value.spoken_in(language) if isinstance(value, Text) else value for name, value in values.items()}
    return known[key].format(**spoken)


def translated(phrase: str) -> Text:
    """A phrase that a part wrote in English, in all languages; one that no file knows stays as it is.

    Of `Throughput: 6 sessions x 5 turns` the head is looked up too, and what follows the colon stays.
    """
    known = _phrases()
    head, colon, tail = phrase.partition(": ")
    if phrase not in known and colon and head in known:
        return Text(en=phrase, zh=f"{known[head]}：{tail}")
    return Text(en=phrase, zh=known.get(phrase, phrase))


@cache
def _phrases() -> dict[str, str]:
    source = resources.files("bedplate.locale").joinpath("phrases.zh.yaml").read_text(encoding="utf-8")
    return {str(key): str(value) for key, value in yaml.safe_load(source).items()}
