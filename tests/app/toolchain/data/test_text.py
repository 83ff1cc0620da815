"""`use: data.text`: what it reads, and what it says it left out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from bedplate.app.toolchain.data.text import Settings, run
from bedplate.compute.inventory import this_node
from bedplate.core.errors import UsageError
from bedplate.toolchain.data.corpus import read_corpus_manifest, read_documents_of
from tests.failing_worker import FaultyEngine
from tests.training_run import make_context


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaultyEngine]:
    engine = FaultyEngine(tmp_path / "engine", this_node())
    yield engine
    engine.close()


def test_skipped_files_are_reported_and_in_the_manifest(engine: FaultyEngine, tmp_path: Path) -> None:
    source = tmp_path / "texts"
    source.mkdir()
    (source / "a.JSONL").write_text("".join(json.dumps({"content": f"text {number}"}) + "\n" for number in range(9)))
    (source / "readme.md").write_text("not read")
    context, heard = make_context(engine, tmp_path / "step")
    with pytest.raises(UsageError, match="text_field"):
        run(Settings(source=str(source)), context)
    result = run(Settings(source=str(source), text_field="content"), context)
    assert result.path is not None
    assert sum(len(list(read_documents_of(result.path, split))) for split in ("train", "validation")) == 9
    assert "left out 1 files (of other formats, hidden, or links to nothing): readme.md" in heard.said
    assert result.outputs["left_out"] == read_corpus_manifest(result.path)["left_out"] == ["readme.md"]


def test_what_cleaning_dropped_is_counted_by_reason(engine: FaultyEngine, tmp_path: Path) -> None:
    source = tmp_path / "texts"
    source.mkdir()
    rows = ["one", "two", "one", " one\n", "", "   ", "three"]
    (source / "a.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    parquet.write_table(pyarrow.table({"text": ["four", None, "two"]}), source / "b.parquet")
    context, heard = make_context(engine, tmp_path / "step")
    result = run(Settings(source=str(source)), context)
    assert result.path is not None
    manifest = read_corpus_manifest(result.path)
    assert manifest["dropped"] == result.outputs["dropped"] == {"blank": 2, "duplicate": 3, "null": 1}
    assert "dropped 6 documents (duplicate: 3, blank: 2, null: 1)" in heard.said
    assert sum(entry["documents"] for entry in manifest["splits"].values()) + 6 == len(rows) + 3
    assert run(Settings(source=str(source)), context).outputs["dropped"] == manifest["dropped"]


def test_nothing_dropped_is_not_worth_a_line(engine: FaultyEngine, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n\n{"text": "two"}\n')
    context, heard = make_context(engine, tmp_path / "step")
    assert run(Settings(source=str(tmp_path / "a.jsonl")), context).outputs["dropped"] == {}
    assert not [line for line in heard.said if "dropped" in line]


def test_a_corpus_of_nothing_but_copies_says_so(engine: FaultyEngine, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(3 * '{"text": "one"}\n')
    context, _ = make_context(engine, tmp_path / "step")
    with pytest.raises(UsageError, match=r"too few documents.*1 documents; dropped: duplicate: 2"):
        run(Settings(source=str(tmp_path / "a.jsonl")), context)
