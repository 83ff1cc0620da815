import re

import pytest

from bedplate.core.errors import NotFoundError
from bedplate.locale.text import Language, table, text, translated, verbatim


def test_both_languages_have_the_same_keys() -> None:
    assert set(table(Language.ENGLISH)) == set(table(Language.CHINESE))


@pytest.mark.parametrize("key", sorted(table(Language.ENGLISH)))
def test_both_languages_ask_for_the_same_values(key: str) -> None:
    def asked(language: Language) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", table(language)[key]))

    assert asked(Language.ENGLISH) == asked(Language.CHINESE)
    assert all(table(language)[key].strip() for language in Language)


def test_a_value_is_spoken_in_the_language_around_it() -> None:
    words = text("cap.scale", uncapped=text("level.lead"), nodes=4)
    assert "lead" in words.en and "领先" in words.zh and "4" in words.zh


def test_an_unknown_key_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match=r"level\.lead"):
        text("level.laed")


def test_verbatim_is_the_same_everywhere() -> None:
    assert verbatim("x{y}").spoken_in(Language.CHINESE) == "x{y}"


def test_what_steps_write_is_translated_where_it_is_known_and_kept_where_it_is_not() -> None:
    assert translated("Training loss").zh == "训练损失"
    assert translated("Throughput: 6 x 5").zh == "吞吐：6 x 5"
    assert translated("a <title> of a user's own step").zh == "a <title> of a user's own step"
