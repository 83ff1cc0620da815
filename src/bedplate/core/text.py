"""Texts that people read, before anybody has chosen a language: an English template and the values that fill it.

A part writes `text("{name} reaches {good}", name=…, good=…)` in English and knows no other language. The text travels
unchanged, also through JSON, and what shows it asks `bedplate.locale` for a language. The template is the key of the gettext
catalogues, so it is always a literal: `python -m bedplate.locale.extract` collects the literals. A plain `str` in the place
of a text is the same in every language: a name, a path, a command, a user's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text in no language yet; `str()` of it is English."""

    template: str
    """English, with `{names}` where values go; `{{` and `}}` are braces."""
    values: Mapping[str, Text | str | int | float] = field(default_factory=dict)
    """What goes into the names; a value that is a text is translated too."""

    def __str__(self) -> str:
        return self.rendered(lambda template: template)

    def rendered(self, translate: Callable[[str], str]) -> str:
        """The text whose templates, its own and those of its values, went through `translate`.

        Raises:
            KeyError: A template names a value that is not there.
        """
        filled = {name: value.rendered(translate) if isinstance(value, Text) else value for name, value in self.values.items()}
        return translate(self.template).format(**filled)


AnyText: TypeAlias = Text | str
"""A text, or a string that is the same in every language."""


def text(template: str, /, **values: AnyText | int | float) -> Text:
    """The text of an English template, and the mark by which extraction finds it; `template` is a literal."""
    return Text(template=template, values=values)


def text_of(english: str) -> Text:
    """The text of an English sentence in a data file, braces as they are; extraction reads those files by their own rules."""
    return Text(template=english.replace("{", "{{").replace("}", "}}"))
