"""Every text that people read is in every catalogue, with the same values, and in the catalogue's own format."""

import ast
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from bedplate.core.errors import ConfigurationError
from bedplate.core.messages import decode, encode
from bedplate.core.text import Text, text, text_of
from bedplate.locale.catalogue import catalogue, in_language, read_catalogue
from bedplate.locale.extract import PACKAGE, catalogue_file, extract_texts, update_catalogue
from bedplate.locale.languages import Language

OTHERS = [language for language in Language if language is not Language.ENGLISH]
TEXTS = extract_texts()
SYMBOLS = ("", "s")
SHOWN = {"title", "details", "x_label", "y_label", "columns", "marks"}


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_in_use_is_translated(language: Language) -> None:
    assert set(TEXTS) - set(catalogue(language)) == set(), "python -m bedplate.locale.extract, then translate the new ones"


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_holds_nothing_that_is_not_in_use(language: Language) -> None:
    assert set(catalogue(language)) - set(TEXTS) == set(), "python -m bedplate.locale.extract"


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_values_of_its_template(language: Language) -> None:
    def names(template: str) -> set[str]:
        return set(re.findall(r"\{(\w*)\}", template))

    assert {template for template, words in catalogue(language).items() if names(template) != names(words)} == set()


@pytest.mark.parametrize("language", OTHERS)
def test_our_reader_and_babels_agree(language: Language) -> None:
    from babel.messages.pofile import read_po

    source = catalogue_file(language).read_bytes()
    theirs = {str(message.id): str(message.string) for message in read_po(BytesIO(source)) if message.id}
    assert read_catalogue(source.decode()) == theirs


def bare_literals(file: Path) -> Iterator[str]:
    """Strings that a figure or table would show in English to everybody."""
    for node in ast.walk(ast.parse(file.read_text())):
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            if (name in ("Figure", "ResultTable") and keyword.arg in SHOWN) or (name == "Series" and keyword.arg == "name"):
                values = keyword.value.elts if isinstance(keyword.value, ast.Tuple) else [keyword.value]
                yield from (
                    f"{file.name}:{value.lineno}"
                    for value in values
                    if isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and value.value not in SYMBOLS)
                )


def test_figures_and_tables_show_texts() -> None:
    assert [found for file in PACKAGE.rglob("*.py") for found in bare_literals(file)] == []


def test_new_texts_come_in_and_old_ones_go(tmp_path: Path) -> None:
    file = tmp_path / "zh" / "LC_MESSAGES" / "bedplate.po"
    file.parent.mkdir(parents=True)
    file.write_text('msgid "old"\nmsgstr "旧"\n\nmsgid "kept"\nmsgstr "留"\n', encoding="utf-8")
    assert update_catalogue(file, {"kept": ("a.py",), "new {x}": ("b.py",)}) == ["new {x}"]
    written = file.read_text(encoding="utf-8")
    assert read_catalogue(written) == {"kept": "留"}
    assert 'msgid "new {x}"' in written and "old" not in written


def test_long_fuzzy_and_empty_entries_are_read_as_the_format_says() -> None:
    source = (
        '# note\nmsgid ""\n"long "\n"text\\n"\nmsgstr "长"\n\n'
        '#, fuzzy\nmsgid "guessed"\nmsgstr "猜"\n\nmsgid "none"\nmsgstr ""\n'
    )
    assert read_catalogue(source) == {"long text\n": "长"}
    with pytest.raises(ConfigurationError, match="invalid entry"):
        read_catalogue("message: x")


def test_a_text_inside_a_text_is_in_the_same_language() -> None:
    words = text("{name} reaches {good}: overall score", name=text("Network"), good="50 %")
    assert str(words) == "Network reaches 50 %: overall score"
    assert in_language(words, Language.CHINESE) == "网络达到 50 %：总分"


def test_a_plain_string_is_the_same_in_every_language() -> None:
    assert in_language("Network {x}", Language.CHINESE) == "Network {x}"
    assert str(text_of("Network {x}")) == "Network {x}"
    assert str(text("run {run_id}", run_id="{evil}")) == "run {evil}"


def test_a_text_survives_its_json() -> None:
    words = text("{why} and {count} more", why=text("Network"), count=3)
    assert decode(Text, encode(words)) == words
