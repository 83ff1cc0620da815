"""Documents from a user's files and from wiki dumps; what cannot be read is named with its line."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.core.errors import NotFoundError, UsageError
from bedplate.toolchain.data.documents import documents_of, read_documents
from bedplate.toolchain.data.dropped import Dropped, DropReason
from bedplate.toolchain.data.text_files import find_text_files, named
from bedplate.toolchain.data.wikipedia import plain_text
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


def test_a_long_text_is_cut_at_paragraphs_without_loss(tmp_path: Path) -> None:
    paragraphs = [paragraph for document in tiny_documents(20) for paragraph in document.split("\n\n")]
    (tmp_path / "book.txt").write_text("\n\n".join(paragraphs))
    documents = list(read_documents(tmp_path / "book.txt"))
    assert len(documents) > 3
    assert "\n\n".join(documents) == "\n\n".join(paragraphs)


TEXTS = ("one", "two words", "three")
JSON_LINES = b"".join(json.dumps({"text": text, "body": text.upper()}).encode() + b"\n" for text in TEXTS)


def compressed(suffix: str, content: bytes) -> bytes:
    import pyarrow

    if suffix == ".zst":
        return bytes(pyarrow.compress(content, "zstd", asbytes=True))
    compress: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }
    return compress[suffix](content)


@pytest.mark.parametrize("name", ["x.jsonl", "x.JSONL", "x.ndjson", "x.v1.jsonl"])
@pytest.mark.parametrize("compression", ["", ".gz", ".bz2", ".xz", ".zst"])
def test_json_lines_are_read_under_every_name_and_compression(tmp_path: Path, name: str, compression: str) -> None:
    file = tmp_path / f"{name}{compression}"
    file.write_bytes(compressed(compression, JSON_LINES))
    assert tuple(read_documents(file)) == TEXTS
    assert list(read_documents(file, "body")) == ["ONE", "TWO WORDS", "THREE"]


@pytest.mark.parametrize("compression", [".gz", ".zst"])
def test_compressed_plain_text_and_exports_are_read(tmp_path: Path, compression: str) -> None:
    (tmp_path / f"a.txt{compression}").write_bytes(compressed(compression, b"one\n\n\ntwo"))
    page = PAGE.format(title="Title", ns=0, redirect="", text="A sentence of some length. " * 20)
    (tmp_path / f"b.xml{compression}").write_bytes(compressed(compression, f"<mediawiki>{page}</mediawiki>".encode()))
    assert [document.split("\n")[0] for document in read_documents(tmp_path)] == ["one", "two", "Title"]


def test_parquet_gives_the_column_that_is_named(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"text": ["one", None, "three"], "body": ["x", "y", "z"], "id": [1, 2, 3]})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    assert list(read_documents(tmp_path / "x.parquet")) == ["one", "three"]
    assert list(read_documents(tmp_path / "x.parquet", "body")) == ["x", "y", "z"]
    with pytest.raises(UsageError, match=r"no column 'content'.*text, body, id.*text_field"):
        list(read_documents(tmp_path / "x.parquet", "content"))
    with pytest.raises(UsageError, match="'id' holds no text"):
        list(read_documents(tmp_path / "x.parquet", "id"))
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(UsageError, match=r"not a complete Parquet file.*x\.parquet"):
        list(read_documents(tmp_path / "x.parquet"))


def test_another_field_is_asked_for_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"content": "x"}\n')
    with pytest.raises(UsageError, match=r"x\.jsonl:1.*text_field"):
        list(read_documents(tmp_path / "x.jsonl"))


@pytest.mark.parametrize("compression", [".gz", ".bz2", ".xz", ".zst"])
def test_a_compressed_file_that_is_cut_is_refused_by_name(tmp_path: Path, compression: str) -> None:
    many = json.dumps({"text": "some words " * 20}).encode() + b"\n"
    content = compressed(compression, b"".join(many[:-3] + str(number).encode() + many[-3:] for number in range(20_000)))
    (tmp_path / f"x.jsonl{compression}").write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match=r"x\.jsonl"):
        list(read_documents(tmp_path / f"x.jsonl{compression}"))


def test_links_are_followed_and_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.txt").write_text("linked folder")
    (tmp_path / "c.txt").write_text("linked file")
    source = tmp_path / "source"
    source.mkdir()
    (source / "folder").symlink_to(tmp_path / "elsewhere")
    (source / "loop").symlink_to(source)
    (source / "z.txt").symlink_to(tmp_path / "c.txt")
    assert list(read_documents(source)) == ["linked folder", "linked file"]


def test_what_a_folder_holds_beside_text_is_named(tmp_path: Path) -> None:
    for name in ("a.txt", "notes.md", "sub/x.json.gz", ".hidden.txt", ".git/config.txt", "broken.PDF"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    found = find_text_files(tmp_path)
    assert [file.path.name for file in found.files] == ["a.txt"]
    assert [str(path.relative_to(tmp_path)) for path in found.left_out] == [
        ".git", ".hidden.txt", "broken.PDF", "notes.md", "sub/x.json.gz"
    ]  # fmt: skip
    assert named(found.left_out, tmp_path, at_most=2) == ".git, .hidden.txt and 3 more"


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").symlink_to(tmp_path / "absent.txt")
    assert find_text_files(tmp_path).left_out == (tmp_path / "b.txt",)


def test_a_folder_without_text_names_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x")
    with pytest.raises(NotFoundError, match=r"no text in the folder.*data\.csv.*\.jsonl"):
        list(read_documents(tmp_path))


def test_byte_order_marks_and_carriage_returns_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfone\r\nline\r\n\r\n\r\ntwo\r\n")
    assert list(read_documents(tmp_path / "x.txt")) == ["one\nline", "two"]


@pytest.mark.parametrize("line", ['{"text": 5}', '{"body": "x"}', "{broken", '["x"]'])
def test_a_bad_line_is_named_by_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": "fine"}) + f"\n\n{line}\n")
    with pytest.raises(UsageError, match=r"x\.jsonl:3"):
        list(read_documents(tmp_path / "x.jsonl"))


def test_a_text_that_is_null_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": null}\n')
    with pytest.raises(UsageError, match=r"x\.jsonl:1: 'text' is null"):
        list(read_documents(tmp_path / "x.jsonl"))


def test_half_a_character_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "\\ud83d\\ude00"}\n{"text": "a \\ud800 b"}\n')
    documents = read_documents(tmp_path / "x.jsonl")
    assert next(documents) == "\U0001f600"
    with pytest.raises(UsageError, match=r"x\.jsonl:2: \\ud800 alone"):
        next(documents)


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
    dropped = Dropped()
    (dump,) = find_text_files(tmp_path / "dump.xml.bz2").files
    assert [document.split("\n")[0] for document in documents_of(dump, dropped=dropped)] == ["Kept"]
    assert dropped == {DropReason.REDIRECT: 1, DropReason.OTHER_NAMESPACE: 1, DropReason.TOO_SHORT: 1}


def test_half_a_dump_is_refused(tmp_path: Path) -> None:
    page = PAGE.format(title="A", ns=0, redirect="", text="long text " * 50)
    whole = bz2.compress(f"<mediawiki>{page * 50}</mediawiki>".encode())
    (tmp_path / "half.xml.bz2").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="not a complete MediaWiki export"):
        list(read_documents(tmp_path / "half.xml.bz2"))


LONG_TEXTS = {
    "one line without an end": "word " * 20_000,
    "a line for each sentence": "A sentence of some length, on a line of its own.\n" * 2_000,
    "no blanks at all": "\u6cb3" * 50_000,
}


@pytest.mark.parametrize("text", LONG_TEXTS.values(), ids=LONG_TEXTS)
def test_a_text_without_paragraphs_is_cut_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "book.txt").write_text(text)
    documents = list(read_documents(tmp_path / "book.txt"))
    assert len(documents) > 5
    assert max(map(len, documents)) <= 12_000
    assert "".join("".join(documents).split()) == "".join(text.split())
    assert all(document == document.strip() for document in documents)
    assert not any(document.endswith(("wor", "sentenc")) for document in documents)


@pytest.mark.parametrize(
    ("content", "seen", "hint"),
    [
        ('{"text": "a"}\n'.encode("utf-16"), "x.jsonl:1", "iconv"),
        ('{"text": "a"}\n{"text": "F\u00fc\u00dfe"}\n'.encode("latin-1"), "x.jsonl:2", "iconv"),
        (b'[{"text": "a"}, {"text": "b"}]', "x.jsonl:1", "jq"),
        (b'[\n{"text": "a"},\n{"text": "b"}\n]\n', "x.jsonl:1", "jq"),
        (b"[" * 100_000 + b"]" * 100_000, "RecursionError", "jq"),
    ],
    ids=["UTF-16", "Latin-1", "a list on one line", "a list on many lines", "nested without end"],
)
def test_a_file_of_another_kind_says_how_to_convert_it(tmp_path: Path, content: bytes, seen: str, hint: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(UsageError, match=rf"{seen}.*next: .*{hint}"):
        list(read_documents(tmp_path / "x.jsonl"))


def test_parquet_categories_are_text_and_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    categories = pyarrow.array(["one", "two", "one"]).dictionary_encode()
    pyarrow.parquet.write_table(pyarrow.table({"text": categories}), tmp_path / "a.parquet")
    assert list(read_documents(tmp_path / "a.parquet")) == ["one", "two", "one"]
    damaged = pyarrow.array([b"ok", b"\xff\xfe"]).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"text": damaged}), tmp_path / "b.parquet")
    with pytest.raises(UsageError, match=r"not UTF-8.*b\.parquet, column 'text'"):
        list(read_documents(tmp_path / "b.parquet"))
