"""The languages of bedplate, and which of them is wanted."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping

from bedplate.core.errors import UsageError


class Language(enum.StrEnum):
    """Languages with a complete catalogue; English is the language of the templates themselves."""

    ENGLISH = "en"
    CHINESE = "zh"


_VARIABLES = ("BEDPLATE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def choose_language(explicit: str | None = None, environment: Mapping[str, str] | None = None) -> Language:
    """The language to use: what was asked for, else what the environment says, else English.

    Args:
        explicit: Of a setting; None or empty where it was not given.
        environment: Where BEDPLATE_LANG (which `--lang` sets, for workers too), LC_ALL, LC_MESSAGES and LANG are looked up, in
            this order; the first that is set decides, as POSIX has it. None: the process's own.

    Raises:
        UsageError: `explicit` is not a supported language. An unsupported one in the environment means English.
    """
    if explicit:
        if (found := _language(explicit)) is None:
            raise UsageError("unknown language", seen=explicit, expected=", ".join(Language))
        return found
    variables = os.environ if environment is None else environment
    wanted = next((variables[name] for name in _VARIABLES if variables.get(name)), "")
    return _language(wanted) or Language.ENGLISH


def _language(name: str) -> Language | None:
    """`zh_CN.UTF-8`, `zh-Hans` and `zh` are Chinese."""
    code = name.lower().replace("-", "_").partition(".")[0].partition("@")[0].partition("_")[0]
    return Language(code) if code in list(Language) else None
