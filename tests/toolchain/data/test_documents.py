"""Documents from a user's files and from wiki dumps; what cannot be read is named with its line."""

import bz2
import json
from pathlib import Path

import pytest

from bedplate.core.errors import NotFoundError, UsageError
from bedplate.toolchain.data.documents import read_documents
from bedplate.toolchain.data.wikipedia import plain_text, wikipedia_documents
from tests.tiny_model import tiny_documents, write_tiny_text

PAGE = """<page><title>{title}</title><ns>{ns}</ns>{redirect}<revision><text>{text}</text></revision></page>"""


@pytest.mark.parametrize("name", ["text.txt", "text.jsonl"])
def test_generated_files_give_their_documents(tmp_path: Path, name: str) -> None:
    write_tiny_text(tmp_path / name, num_documents=12)
    assert list(read_documents(tmp_path / name)) == list(tiny_documents(12))


def test_a_folder_gives_all_its_files_in_order(tmp_path: Path) -> None:
    write_tiny_text(tmp_path / "b.txt", num_documents=3, seed=1)
    write_tiny_text(tmp_path / "a.jsonl", num_documents=2, seed=2)
    (tmp_path / "notes.md").write_text("not text of ours")
    assert list(read_documents(tmp_path)) == [*tiny_documents(2, seed=2), *tiny_documents(3, seed=1)]


def test_a_long_text_without_breaks_is_cut_at_paragraphs_and_nothing_is_lost(tmp_path: Path) -> None:
    paragraphs = [paragraph for document in tiny_documents(20) for paragraph in document.split("\n\n")]
    (tmp_path / "book.txt").write_text("\n\n".join(paragraphs))
    documents = list(read_documents(tmp_path / "book.txt"))
    assert len(documents) > 3
    assert "\n\n".join(documents) == "\n\n".join(paragraphs)


@pytest.mark.parametrize("line", ['{"text": 5}', '{"body": "x"}', "{broken", '["x"]'])
def test_a_bad_line_is_named_by_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": "fine"}) + f"\n\n{line}\n")
    with pytest.raises(UsageError, match=r"x\.jsonl:3"):
        list(read_documents(tmp_path / "x.jsonl"))


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("Gebäude".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        list(read_documents(tmp_path / "x.txt"))


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such text"):
        list(read_documents(tmp_path / "absent.txt"))
    with pytest.raises(NotFoundError, match="no text in the folder"):
        list(read_documents(tmp_path))


@pytest.mark.parametrize(
    ("markup", "plain"),
    [
        ("'''Bold''' and ''soft'' [[Paris|the city]] of [[France]].", "Bold and soft the city of France."),
        ("Rain{{cite|a={{b|c}}}} falls<ref name=x>no {{y}}</ref> here<ref name=x/>.", "Rain falls here."),
        ("It is {{convert|1300|mi|km}} long ({{IPA|x}}).", "It is 1300 mi long."),
        ("[[File:a.jpg|thumb|A [[cat]] in ''Rome'']]Text", "Text"),
        ("Before\n{| class=x\n|-\n| cell\n{|\n| inner\n|}\n|}\nAfter", "Before\n\nAfter"),
        ("== History ==\n* one\n* two", "History\n\none\n\ntwo"),
        ("Body\n== See also ==\n* [[Other]]\n== References ==\nx", "Body"),
        ("A [http://x.org site] &amp; more<br />line", "A site & more\n\nline"),
    ],
)
def test_markup_becomes_running_text(markup: str, plain: str) -> None:
    assert plain_text(markup) == plain


def test_redirects_stubs_and_other_namespaces_are_left_out(tmp_path: Path) -> None:
    long = "A sentence of some length. " * 20
    pages = [
        ("Kept", 0, "", long),
        ("Moved", 0, '<redirect title="Kept"/>', long),
        ("Talk:X", 1, "", long),
        ("Stub", 0, "", "x"),
    ]
    text = "".join(PAGE.format(title=title, ns=ns, redirect=redirect, text=body) for title, ns, redirect, body in pages)
    (tmp_path / "dump.xml.bz2").write_bytes(bz2.compress(f"<mediawiki>{text}</mediawiki>".encode()))
    assert [document.split("\n")[0] for document in wikipedia_documents(tmp_path / "dump.xml.bz2")] == ["Kept"]


def test_half_a_dump_is_refused(tmp_path: Path) -> None:
    page = PAGE.format(title="A", ns=0, redirect="", text="long text " * 50)
    whole = bz2.compress(f"<mediawiki>{page * 50}</mediawiki>".encode())
    (tmp_path / "half.bz2").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="not a whole MediaWiki export"):
        list(read_documents(tmp_path / "half.bz2"))
