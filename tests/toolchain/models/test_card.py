"""The card holds a model folder to its bytes, and never vouches for weights that it does not know."""

import os
import shutil
from pathlib import Path

import pytest

from bedplate.core.errors import IntegrityError, NotFoundError
from bedplate.toolchain.models.card import ModelCard, ModelKind, check_card, read_card, weights_digest, write_card


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
    assert read_card(folder).source == "generated"


def test_a_short_file_is_found_at_once_and_a_flipped_byte_by_reading(folder: Path) -> None:
    spoil(folder / "model.safetensors")
    check_card(folder)
    with pytest.raises(IntegrityError, match=r"model\.safetensors is damaged"):
        check_card(folder, verify=True)
    os.truncate(folder / "tokenizer.json", 10)
    with pytest.raises(IntegrityError, match=r"tokenizer\.json is incomplete"):
        check_card(folder)


def test_the_digest_is_that_of_the_weights_even_beside_a_stale_card(folder: Path, tiny_model: Path) -> None:
    assert weights_digest(folder) == weights_digest(tiny_model)
    spoil(folder / "model.safetensors")
    assert weights_digest(folder) != weights_digest(tiny_model)


def test_a_folder_without_a_card_says_so(tiny_model: Path) -> None:
    assert read_card(tiny_model) is None
    with pytest.raises(NotFoundError, match="no card"):
        check_card(tiny_model)
