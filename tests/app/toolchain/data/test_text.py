"""`use: data.text`: what it reads, and what it says it left out."""

import json
from pathlib import Path

import pytest

from bedplate.app.toolchain.data.text import Settings, run
from bedplate.compute.inventory import this_node
from bedplate.core.errors import UsageError
from bedplate.toolchain.data.corpus import read_corpus_manifest, read_documents_of
from tests.failing_worker import FaultyEngine
from tests.training_run import make_context


def test_skipped_files_are_reported_and_in_the_manifest(tmp_path: Path) -> None:
    source = tmp_path / "texts"
    source.mkdir()
    (source / "a.JSONL").write_text("".join(json.dumps({"content": f"text {number}"}) + "\n" for number in range(9)))
    (source / "readme.md").write_text("not read")
    engine = FaultyEngine(tmp_path / "engine", this_node())
    try:
        context, heard = make_context(engine, tmp_path / "step")
        with pytest.raises(UsageError, match="text_field"):
            run(Settings(source=str(source)), context)
        result = run(Settings(source=str(source), text_field="content"), context)
    finally:
        engine.close()
    assert result.path is not None
    assert sum(len(list(read_documents_of(result.path, split))) for split in ("train", "validation")) == 9
    assert "left out 1 files (of other formats, hidden, or links to nothing): readme.md" in heard.said
    assert result.outputs["left_out"] == read_corpus_manifest(result.path)["left_out"] == ["readme.md"]
