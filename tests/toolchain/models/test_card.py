"""The card describes the bytes of a model folder, and never speaks for weights that it does not know."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from bedplate.core.errors import IntegrityError, NotFoundError
from bedplate.toolchain.data.shards import file_digest
from bedplate.toolchain.models.card import (
    FILE,
    ModelCard,
    ModelKind,
    Origin,
    check_card,
    digest_of_weights,
    is_result_of,
    read_card,
    weights_digest,
    write_card,
)
from bedplate.toolchain.models.digests import DigestCache


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    copy = shutil.copytree(tiny_model, tmp_path / "model")
    write_card(copy, ModelCard(kind=ModelKind.CONVERTED, source="generated"))
    return copy


def spoil(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_a_whole_folder_passes(folder: Path) -> None:
    check_card(folder, verify=True)
    card = read_card(folder)
    assert card is not None and card.source == "generated"


def test_short_files_are_found_by_size_and_flipped_bytes_by_reading(folder: Path) -> None:
    spoil(folder / "model.safetensors")
    check_card(folder)
    with pytest.raises(IntegrityError, match=r"model\.safetensors is damaged"):
        check_card(folder, verify=True)
    os.truncate(folder / "tokenizer.json", 10)
    with pytest.raises(IntegrityError, match=r"tokenizer\.json is incomplete"):
        check_card(folder)


def test_the_digest_ignores_a_stale_card(folder: Path, tiny_model: Path) -> None:
    assert weights_digest(folder) == weights_digest(tiny_model)
    spoil(folder / "model.safetensors")
    assert weights_digest(folder) != weights_digest(tiny_model)


def test_a_folder_without_a_card_says_so(tiny_model: Path) -> None:
    assert read_card(tiny_model) is None
    with pytest.raises(NotFoundError, match="no card"):
        check_card(tiny_model)


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    read: list[Path] = []

    def counted(file: Path) -> str:
        read.append(file)
        return file_digest(file)

    monkeypatch.setattr("bedplate.toolchain.models.digests.file_digest", counted)
    return read


def test_weights_with_a_card_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = count_reads(monkeypatch)
    weights_digest(folder)
    assert read == []


def test_weights_without_a_card_are_read_once(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare, cache, read = (
        shutil.copytree(tiny_model, tmp_path / "bare"),
        DigestCache(file=tmp_path / "c.json"),
        count_reads(monkeypatch),
    )
    file = bare / "model.safetensors"
    os.utime(file, times=(time.time() + 60,) * 2)
    first = weights_digest(bare, cache)
    assert weights_digest(bare, cache) == first and len(read) == 2, "written a moment ago: it may still change"
    os.utime(file, (1e9, 1e9))
    assert [weights_digest(bare, cache) for _ in range(3)] == [first] * 3
    assert len(read) == 3
    spoil(file)
    assert weights_digest(bare, cache) != first


@pytest.mark.parametrize("text", ["", "[]", "{", '{"/x": 3}'])
def test_a_damaged_digest_cache_costs_time_and_nothing_else(tiny_model: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    assert weights_digest(tiny_model, DigestCache(file=tmp_path / "c.json")) == weights_digest(tiny_model)


def test_the_cards_of_the_first_release_are_read(folder: Path) -> None:
    new = read_card(folder)
    assert new is not None
    files = {
        name: {"size_bytes": f.size_bytes, "modified_ns": f.modified_ns, "digest": f.digest} for name, f in new.files.items()
    }
    old = {"format": "bedplate-model", "source": "int8 of /m", "base": "/m", "base_weights": "d0", "licence": "MIT"}
    (folder / FILE).write_text(json.dumps(old | {"weights_digest": new.weights_digest, "files": files}))
    card = read_card(folder)
    assert card is not None
    assert (card.kind, card.base, card.licence) == (ModelKind.COMPRESSED, Origin(path="/m", digest="d0"), "MIT")
    assert (card.weights_digest, card.files) == (new.weights_digest, new.files)
    check_card(folder, verify=True)


def test_the_lineage_of_the_first_release_is_read(folder: Path) -> None:
    old: dict[str, object] = {
        "kind": "weights",
        "made_by": "train",
        "base": {"path": "/m", "weights": {"model.safetensors": "d0"}},
    }
    old |= {"base": {"path": "/m", "weights": {"model.safetensors": "d0"}}}
    old |= {"data": {"path": "/d", "digest": "d1"}, "corpus": None, "steps": 3, "tokens": 96, "precision": "bf16"}
    (folder / FILE).write_text(json.dumps(old))
    card = read_card(folder)
    assert card is not None and card.kind is ModelKind.TRAINED and card.corpus is None
    assert card.data == Origin(path="/d", digest="d1") and card.details["tokens"] == 96
    assert weights_digest(folder) == digest_of_weights({"model.safetensors": file_digest(folder / "model.safetensors")})
    with pytest.raises(NotFoundError, match="no card"):
        check_card(folder)
    assert is_result_of(folder, ModelKind.TRAINED)
    (folder / "notes.txt").write_text("mine")
    assert not is_result_of(folder, ModelKind.TRAINED)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 99}', '{"format": "other", "version": 1}'])
def test_a_card_that_cannot_be_read_is_named(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text)
    with pytest.raises(IntegrityError, match="model card"):
        read_card(folder)
    assert not is_result_of(folder, *ModelKind)


def test_a_result_is_recognised_only_by_its_kind_and_without_additions(folder: Path) -> None:
    assert is_result_of(folder, ModelKind.CONVERTED) and not is_result_of(folder, ModelKind.COMPRESSED)
    (folder / "sub").mkdir()
    assert is_result_of(folder, ModelKind.CONVERTED)
    (folder / "sub" / "notes.txt").write_text("mine")
    assert not is_result_of(folder, ModelKind.CONVERTED)
