"""One switch decides the language: what was asked for, then the environment, then English."""

import pytest

from bedplate.core.errors import UsageError
from bedplate.locale.languages import Language, choose_language


@pytest.mark.parametrize(
    ("explicit", "environment", "expected"),
    [
        ("zh", {"LC_ALL": "en_US.UTF-8"}, Language.CHINESE),
        ("en", {"LANG": "zh_CN.UTF-8"}, Language.ENGLISH),
        (None, {"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, Language.CHINESE),
        (None, {"BEDPLATE_LANG": "zh", "LC_ALL": "en_US.UTF-8"}, Language.CHINESE),
        ("", {"LC_MESSAGES": "zh_TW", "LANG": "C"}, Language.CHINESE),
        (None, {"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, Language.ENGLISH),
        (None, {"LC_ALL": "", "LANG": "zh"}, Language.CHINESE),
        (None, {"LANG": "fr_FR.UTF-8"}, Language.ENGLISH),
        ("zh-Hans", {}, Language.CHINESE),
        (None, {}, Language.ENGLISH),
    ],
)
def test_what_was_asked_for_goes_before_the_environment(
    explicit: str | None, environment: dict[str, str], expected: Language
) -> None:
    assert choose_language(explicit, environment) is expected


def test_a_language_asked_for_by_name_must_exist() -> None:
    with pytest.raises(UsageError, match="unknown language"):
        choose_language("tlh", {})
