"""Options of a verb, made from the settings class of its use case: names, help, defaults, ranges and choices.

A verb that takes settings has no option list of its own. Each option checks its own value, so an error names the option;
what was not given is left out, so the default is the class's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from bedplate.core.errors import ConfigurationError, UsageError
from bedplate.core.settings import KeyPath, Kind, SettingField, SettingType, Source, read_value, setting_fields
from bedplate.core.units import Quantity

Command = TypeVar("Command", bound=Callable[..., Any])

_WITHOUT_OPTION = (Kind.ANYTHING, Kind.MAPPING)


def settings_options(
    cls: type,
    *more: type,
    without: tuple[str, ...] = (),
    names: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    is_overlay: bool = False,
) -> Callable[[Command], Command]:
    """Add an option for each field of `cls`; the command gets what was given as the mapping `settings`.

    `read_settings(cls, settings)` makes the object. Keys of nested settings are joined: `checkpoint.every` is
    `--checkpoint-every`.

    Args:
        cls: The settings class.
        more: Further classes, for a verb that answers several kinds of question: it takes the options of all, none of them
            required, and reads the class that was meant; that refuses what the others have. A key that several have is an
            option once, as the first one has it.
        without: Keys that the verb takes in another way, as an argument.
        names: Other names by key, for options that scripts rely on: `{"schemes": "--scheme"}`.
        environment: Variables by key that stand in for an option.
        is_overlay: The options change settings that were read from a file, so none is required.
    """
    options = tuple(
        _Option(field=field, path=path, name=(names or {}).get(".".join(path), "--" + "-".join(path).replace("_", "-")))
        for path, field in _fields_of((cls, *more)).items()
        if path[0] not in without
    )

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(**given: Any) -> Any:
            return command(settings=_settings_of(options, given), **given)

        complete: Any = called
        for option in reversed(options):
            variable = (environment or {}).get(".".join(option.path))
            complete = option.added_to(complete, variable, is_required=option.is_required and not is_overlay and not more)
        return complete  # type: ignore[no-any-return]

    return decorate


def _fields_of(classes: Sequence[type]) -> dict[tuple[str, ...], SettingField]:
    """Fields by path; of a path that several classes have, that of the first."""
    fields: dict[tuple[str, ...], SettingField] = {}
    for cls in classes:
        for field, path in _leaves(cls, ()):
            fields.setdefault(path, field)
    return fields


def _leaves(cls: Any, path: tuple[str, ...]) -> Iterator[tuple[SettingField, tuple[str, ...]]]:
    for key, field in setting_fields(cls).items():
        if field.value_type.kind is Kind.SETTINGS:
            yield from _leaves(field.value_type.cls, (*path, key))
        elif field.value_type.kind not in _WITHOUT_OPTION:
            yield field, (*path, key)


def _settings_of(options: tuple[_Option, ...], given: dict[str, Any]) -> dict[str, Any]:
    """The mapping that the given options spell; takes them out of `given`."""
    settings: dict[str, Any] = {}
    for option in options:
        value = given.pop(option.parameter)
        if value is None or value == ():
            continue
        mapping = settings
        for key in option.path[:-1]:
            mapping = mapping.setdefault(key, {})
        mapping[option.path[-1]] = list(value) if isinstance(value, tuple) else value
    return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    """One option and the field that it sets."""

    field: SettingField
    path: tuple[str, ...]
    name: str

    @property
    def parameter(self) -> str:
        return "settings_" + "_".join(self.path)

    @property
    def is_required(self) -> bool:
        return self.field.is_required and len(self.path) == 1  # keys of nested settings are needed only with their neighbours

    @property
    def is_list(self) -> bool:
        return self.field.value_type.kind is Kind.LIST

    def added_to(self, command: Callable[..., Any], variable: str | None, *, is_required: bool) -> Callable[..., Any]:
        value_type = self.field.value_type
        if value_type.kind is Kind.BOOLEAN:
            words = self.name if self.field.default is False else f"{self.name}/--no-{self.name.removeprefix('--')}"
            return click.option(words, self.parameter, is_flag=True, default=None, help=self._help())(command)
        item = value_type.items[0] if self.is_list else value_type
        return click.option(
            self.name,
            self.parameter,
            type=_Value(item, self.name),
            metavar=_metavar(item),
            multiple=self.is_list,
            required=is_required,
            envvar=variable,
            show_envvar=variable is not None,
            help=self._help(),
        )(command)

    def _help(self) -> str:
        value_type = self.field.value_type
        text = " ".join(self.field.text.split("\n\n")[0].split()).replace("`", "")
        notes = [f"default: {default}"] if (default := self.field.default_text) else []
        notes += value_type.range_texts
        notes += ["may be repeated"] if self.is_list else []
        return f"{text}  [{'; '.join(notes)}]" if notes else text


class _Value(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """Checks a word of the command line against a settings type; hands it on as the plain value that a file would hold."""

    name = "value"

    def __init__(self, value_type: SettingType, option: str) -> None:
        self._type, self._option = value_type, option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        plain = _plain(self._type, value)
        path: KeyPath = (self._option,)
        try:
            read_value(self._type, plain, Source(), path)
        except ConfigurationError as error:
            raise UsageError(error.what, seen=value, expected=error.expected, next_step=error.next_step) from None
        return plain


def _plain(value_type: SettingType, word: Any) -> Any:
    """A number where the type is a number and the word is one; otherwise the word."""
    types: tuple[Callable[[str], float], ...] = (int, float) if value_type.kind in (Kind.INTEGER, Kind.NUMBER) else ()
    for number in types:
        try:
            return number(word)
        except ValueError:
            continue
    return word


def _metavar(value_type: SettingType) -> str:
    if (quantity := value_type.mark(Quantity)) is not None:
        return quantity.unit.upper()
    if value_type.kind is Kind.CHOICE:
        return "|".join(map(str, value_type.choices))
    return {Kind.INTEGER: "N", Kind.NUMBER: "NUMBER"}.get(value_type.kind, "TEXT")
