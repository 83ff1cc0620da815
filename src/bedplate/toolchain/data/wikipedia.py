"""MediaWiki dumps to plain documents: an honest small cleaner, not a parser.

Kept: the running text of articles, link labels, list items, section headings as lines of their own. `{{convert|3|km}}`
becomes `3 km`, `{{lang|la|albedo}}` its last part. Dropped: redirects and other namespaces, every other template,
tables, files, references, formulas, comments, HTML tags, and everything from "See also", "References" and their like on.
So numbers that occur only in a table or an unknown template are lost, and may leave a gap in a sentence.

About 8 MB of markup a second; one page in memory at a time. Why not a parser: docs/decisions/0026.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import IO
from xml.etree import ElementTree

from bedplate.core.errors import UsageError
from bedplate.toolchain.data.dropped import Dropped, DropReason
from bedplate.toolchain.data.text_files import TextFile

MIN_DOCUMENT_CHARACTERS = 200

_END_SECTIONS = r"See also|References|Notes|Footnotes|Citations|External links|Further reading|Bibliography|Sources|Works cited"
_END = re.compile(rf"^=+\s*(?:{_END_SECTIONS})\b.*", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_DROPPED = re.compile(
    r"<!--.*?-->|<ref[^<>]*/>|<(ref|math|gallery|timeline|source|syntaxhighlight|score|imagemap)\b[^<>]*>.*?</\1>|__[A-Z]+__",
    re.DOTALL | re.IGNORECASE,
)
_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}")
_TABLE = re.compile(r"^[ :]*\{\|(?:(?!^[ :]*\{\|).)*?^[ :]*\|\}", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"\[\[(?:File|Image|Category|[a-z]{2,3}):[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]", re.IGNORECASE)
_LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
_URL = re.compile(r"\[(?:https?:|ftp:)?//[^\s\]]+\s*([^\]]*)\]")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_HEADING = re.compile(r"^=+\s*(.*?)\s*=+\s*$", re.MULTILINE)
_LIST_MARK = re.compile(r"^[*#:;]+\s*", re.MULTILINE)
_EMPTY_BRACKETS = re.compile(r"\s*\((?:[\s;,:]|or|and)*\)")
_LEFT_OVER = re.compile(r"^(?:\||!|\{\||\}).*$|\{\{|\}\}|\[\[|\]\]", re.MULTILINE)


def wikipedia_documents(dump: TextFile, dropped: Dropped) -> Iterator[str]:
    """Articles of a MediaWiki XML export as plain text, title first; the other pages are counted in `dropped`.

    Raises:
        UsageError: The file is not XML of this kind, or ends too early.
    """
    try:
        with dump.open() as stream:
            yield from _documents(stream, dropped)
    except (ElementTree.ParseError, OSError, EOFError) as error:
        raise UsageError(
            "not a complete MediaWiki export", seen=f"{dump.path}: {error}", expected="pages-articles XML, compressed or plain"
        ) from error


def _documents(stream: IO[bytes], dropped: Dropped) -> Iterator[str]:
    title, namespace, is_redirect, text = "", "0", False, ""
    for _, element in ElementTree.iterparse(stream):  # noqa: S314  the dump is verified by digest, or the user's own
        match element.tag.rpartition("}")[2]:
            case "title":
                title, namespace, is_redirect, text = element.text or "", "0", False, ""
            case "ns":
                namespace = element.text or "0"
            case "redirect":
                is_redirect = True
            case "text":
                text = element.text or ""
            case "page":
                element.clear()
                if namespace != "0":
                    dropped[DropReason.OTHER_NAMESPACE] += 1
                elif is_redirect:
                    dropped[DropReason.REDIRECT] += 1
                elif len(plain := plain_text(text)) < MIN_DOCUMENT_CHARACTERS:
                    dropped[DropReason.TOO_SHORT] += 1
                else:
                    yield f"{title}\n\n{plain}"


def plain_text(markup: str) -> str:
    """The running text of one article's wiki markup."""
    text = _END.sub("", _DROPPED.sub("", markup))
    text = _until_stable(_FILE, "", _until_stable(_TABLE, "", _until_stable(_TEMPLATE, _expand, text)))
    text = _URL.sub(r"\1", _LINK.sub(r"\1", text))
    text = html.unescape(_TAG.sub("", text.replace("<br", "\n<br")))
    text = _HEADING.sub(r"\n\1\n", re.sub(r"'{2,5}", "", text))
    text = _LEFT_OVER.sub("", _EMPTY_BRACKETS.sub("", _LIST_MARK.sub("", text)))
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"(?<=[^\n])\n(?=[^\n])", "\n\n", "\n".join(lines))).strip()


def _until_stable(pattern: re.Pattern[str], by: str | Callable[[re.Match[str]], str], text: str) -> str:
    """Substitute from the inside out: nested markup shows once what is inside it is gone."""
    while True:
        text, count = pattern.subn(by, text)
        if not count:
            return text


def _expand(match: re.Match[str]) -> str:
    name, *arguments = (part.strip() for part in match[1].split("|"))
    arguments = [argument for argument in arguments if "=" not in argument]
    if name.lower() in ("convert", "cvt") and len(arguments) >= 2:
        return " ".join(arguments[:2])
    if name.lower() in ("lang", "nowrap", "transl") and arguments:
        return arguments[-1]
    return ""
