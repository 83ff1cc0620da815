"""What a bare word in a file means: the core schema of YAML 1.2, made strict.

    null, ~, nothing              null
    true, false                   booleans; yes, no, on and off are text
    12, -3, 0x1f, 0o17            whole numbers; 0100 is refused: YAML 1.1 reads it as 64, YAML 1.2 as 100
    1.5, 1e-4, 5e-05, 1e5         numbers; .inf, .nan and what overflows are refused
    everything else               text: dates, 1:30, 1_000, 40k, 5%

PyYAML resolves YAML 1.1, which reads `1e-4` as text, `0100` as 64, `1:30` as 90 and `on` as true.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from bedplate.core.json import Json

TAG = "tag:yaml.org,2002:"
_BOOLEANS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_NULLS = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAX_DIGITS = 1000
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")


class Loader(yaml.SafeLoader):
    """Parses YAML, and gives bare words the tags of the schema above."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (as its base class declares it)


for _kind, _pattern, _first in (
    ("null", "|".join(map(re.escape, _NULLS)), ["", "~", "n", "N"]),
    ("bool", "|".join(_BOOLEANS), list("tTfF")),
    ("int", _INTEGER.pattern, list("-+0123456789")),
    ("float", _FLOAT.pattern, list("-+.0123456789")),
):
    Loader.add_implicit_resolver(f"{TAG}{_kind}", re.compile(rf"(?:{_pattern})\Z"), _first)


class ScalarError(ValueError):
    """A bare word that cannot be meant."""

    def __init__(self, what: str, seen: str, expected: str) -> None:
        super().__init__(what)
        self.what, self.seen, self.expected = what, seen, expected


def scalar_value(text: str, tag: str) -> Json:
    """The value of a scalar that was resolved to `tag`, or that says so itself (`!!int 3`).

    Raises:
        ScalarError: A number with a leading zero, one that is not finite, or a tag that is not in the schema.
    """
    kind = tag.removeprefix(TAG)
    if kind == "str":
        return text
    if kind == "null" and text in _NULLS:
        return None
    if kind == "bool" and text in _BOOLEANS:
        return _BOOLEANS[text]
    if kind == "int" and _INTEGER.fullmatch(text):
        return _integer(text)
    if kind == "float" and _FLOAT.fullmatch(text):
        return _finite(text)
    if kind in ("null", "bool", "int", "float"):
        raise ScalarError(f"not a value of the type '!!{kind}'", text, "a value without a tag")
    raise ScalarError("YAML tags are not supported", tag, "plain values")


def _integer(text: str) -> int:
    if _LEADING_ZERO.fullmatch(text):
        digits = text.lstrip("+-").lstrip("0") or "0"
        octal = f", 0o{digits} in octal" if set(digits) <= set("01234567") else ""
        raise ScalarError("a number must not begin with 0", text, f"{digits}{octal}, or '{text}' for text")
    if len(text) > _MAX_DIGITS:
        raise ScalarError("a number is too long", f"{text[:12]}…", f"at most {_MAX_DIGITS} digits")
    return int(text, 0)


def _finite(text: str) -> float:
    is_word = text.lower().endswith((".inf", ".nan"))
    number = math.inf if is_word else float(text)
    if not math.isfinite(number):
        raise ScalarError("a number must be finite", text, f"a finite number, or '{text}' for text")
    return number
