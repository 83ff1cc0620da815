"""Collects every text of bedplate and brings the catalogues up to date: `python -m bedplate.locale.extract [--check]`.

For developers; needs Babel. Texts are the literals in `text("…")` of Python files, `say("…")` of the report's page, and the
texts of the scorecard's indicator files. New ones come into each catalogue without a translation, and those that are no
longer used go. `--check` changes nothing, and fails where something is missing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import yaml

from bedplate.core.text import text_of
from bedplate.locale.languages import Language

PACKAGE = Path(__file__).parents[1]
WIDTH = 120
_HEADER = """\
# bedplate's texts. After a change of the English: python -m bedplate.locale.extract
msgid ""
msgstr ""
"Language: {language}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
"""Without the dates that Babel would write: the file changes when a text does."""
_OUR_TEXT = re.compile(rb"^ *from bedplate\.core\.text import .*\btext\b", re.MULTILINE)
_INDICATOR_TEXTS = ("name", "question", "advice", "source")


def extract_texts(package: Path = PACKAGE) -> dict[str, tuple[str, ...]]:
    """Template -> the files that use it, of every text in the package."""
    found: dict[str, dict[str, None]] = {}
    for pattern, texts in (
        ("**/*.py", _python_texts),
        ("**/*.jinja", _page_texts),
        ("scorecard/indicators/*.yaml", _yaml_texts),
    ):
        for file in sorted(package.glob(pattern)):
            for template in texts(file):
                found.setdefault(template, {})[file.relative_to(package).as_posix()] = None
    return {template: tuple(files) for template, files in found.items()}


def update_catalogue(file: Path, texts: dict[str, tuple[str, ...]], *, write: bool = True) -> list[str]:
    """Make `file` hold exactly `texts`, its translations kept; returns the templates that it does not translate."""
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import read_po, write_po

    old = read_po(BytesIO(file.read_bytes())) if file.exists() else Catalog()
    new = Catalog(locale=file.parents[1].name, fuzzy=False)
    missing = []
    for template, files in texts.items():
        known = old.get(template)
        string = str(known.string) if known is not None and not known.fuzzy else ""
        new.add(template, string, locations=[(name, 0) for name in files])
        missing += [] if string else [template]
    if write:
        with file.open("wb") as stream:
            stream.write(_HEADER.format(language=file.parents[1].name).encode())
            write_po(stream, new, width=WIDTH, omit_header=True)
    return missing


def catalogue_file(language: Language) -> Path:
    """File of a language's catalogue."""
    return PACKAGE / "locale" / language.value / "LC_MESSAGES" / "bedplate.po"


def _python_texts(file: Path) -> Iterator[str]:
    from babel.messages.extract import extract

    source = file.read_bytes()
    if not _OUR_TEXT.search(source):  # another library's `text`, such as SQLAlchemy's
        return
    for _, message, _, _ in extract("python", BytesIO(source), keywords={"text": None}):
        yield str(message)


def _page_texts(file: Path) -> Iterator[str]:
    from jinja2.ext import babel_extract

    with file.open("rb") as stream:
        for _, _, message, _ in babel_extract(stream, ["say"], [], {"trimmed": "true"}):
            yield message if isinstance(message, str) else str((message or ("",))[0])


def _yaml_texts(file: Path) -> Iterator[str]:
    def walk(value: object) -> Iterator[str]:
        for key, item in value.items() if isinstance(value, dict) else ():
            yield from [text_of(item).template] if key in _INDICATOR_TEXTS and isinstance(item, str) else walk(item)
        for item in value if isinstance(value, list) else ():
            yield from walk(item)

    return walk(yaml.safe_load(file.read_text(encoding="utf-8")))


def main(arguments: list[str]) -> int:
    """Update the catalogues, or check them; 1 where a text is not translated."""
    texts = extract_texts()
    missing = {
        language: update_catalogue(catalogue_file(language), texts, write="--check" not in arguments)
        for language in Language
        if language is not Language.ENGLISH
    }
    for language, templates in missing.items():
        for template in templates:
            print(f"{language.value}: not translated: {template}", file=sys.stderr)
    return int(any(missing.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
