"""A corpus: cleaned documents, split into train and validation, with a manifest of their digests.

A document's own digest decides its split, so the split does not change when documents are added, reordered or found
twice. Copies are dropped, also those that differ in white space or in how accents are encoded: on the other side they would
be held-out text that was trained on. Where no document falls on one side, the one nearest
to the border moves there, since a corpus without held-out text cannot be judged.

    manifest.json      format, source, licence, splits: {train: {file, documents, bytes, digest}, validation: {…}},
                       dropped: {duplicate: 3, …}
    train.jsonl        one {"text": …} per line
    validation.jsonl
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.core.errors import IntegrityError, NotFoundError, UsageError
from bedplate.core.files import replacing_file, write_file
from bedplate.core.json import JsonObject, digest
from bedplate.toolchain.data.dropped import Dropped, DropReason, dropped_text
from bedplate.toolchain.data.shards import file_digest

FORMAT = "bedplate-corpus"
VERSION = 1
SPLITS = ("train", "validation")
_REMAKE = "delete the corpus folder and run the data step again"


def write_corpus(
    documents: Iterable[str], folder: Path, validation_frac: float, about: JsonObject, dropped: Dropped | None = None
) -> Mapping[str, Any]:
    """Write the documents and the manifest into `folder`; returns the manifest.

    Documents are written as they come; only their 16-byte digests are kept, about 100 bytes of memory for each.

    Args:
        documents: Plain texts; blank ones and copies are dropped, and lines end with a line feed.
        folder: Is made; must not hold another corpus.
        validation_frac: Share of documents to hold out, 0 to 1; between them, each side gets at least one.
        about: Goes into the manifest: source, licence, anything else.
        dropped: Counts what reading `documents` leaves out; what is dropped here is added.

    Raises:
        UsageError: Fewer documents than a split needs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dropped = Dropped() if dropped is None else dropped
    border = _border(validation_frac)
    keys = _write_splits(documents, folder, border, dropped)
    _check_count(keys.count, validation_frac, dropped)
    if 0 < validation_frac < 1:
        _move_nearest(folder, keys)
    splits = {split: _entry(folder / f"{split}.jsonl") for split in SPLITS}
    manifest = {"format": FORMAT, "version": VERSION, **about, "validation_frac": validation_frac, "splits": splits}
    manifest["dropped"] = {reason.value: count for reason, count in sorted(dropped.items()) if count}
    manifest["digest"] = digest([str(splits[split]["digest"]) for split in SPLITS])
    write_file(folder / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def read_corpus_manifest(folder: Path) -> Mapping[str, Any]:
    """The manifest of a corpus.

    Raises:
        NotFoundError: `folder` is not a corpus.
        IntegrityError: Its manifest is damaged.
    """
    manifest = _manifest(folder)
    if manifest.get("format") != FORMAT:
        expected = "a folder that the step data.text made: manifest.json, train.jsonl, validation.jsonl"
        raise NotFoundError("not a corpus", seen=folder, expected=expected)
    return manifest


def is_corpus(folder: Path) -> bool:
    """Whether `folder` holds the documents of `data.text`, and not, say, token shards."""
    return _manifest(folder).get("format") == FORMAT


def _manifest(folder: Path) -> Mapping[str, Any]:
    file = folder / "manifest.json"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise IntegrityError("a damaged manifest", seen=f"{file}: {error}", expected="JSON", next_step=_REMAKE) from error
    return manifest if isinstance(manifest, dict) else {}


def read_documents_of(folder: Path, split: str) -> Iterator[str]:
    """Documents of one split, in order.

    Raises:
        NotFoundError: Not a corpus.
        IntegrityError: The file is not what was written.
    """
    entry = read_corpus_manifest(folder)["splits"][split]
    file = folder / str(entry["file"])
    if not file.is_file() or file_digest(file) != entry["digest"]:
        raise IntegrityError("a file of the corpus is damaged", seen=file, expected=entry["digest"], next_step=_REMAKE)
    yield from _texts(file)


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _content_key(text: str) -> bytes:
    """The same for texts that differ in nothing but white space and the composition of characters."""
    return _document_key(unicodedata.normalize("NFC", " ".join(text.split())))


def _document_key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _border(validation_frac: float) -> bytes:
    """Documents whose key is below it are held out; one byte longer than a key, so that a share of 1 has a border too."""
    return int(validation_frac * (1 << 128)).to_bytes(17, "big")


def _is_held_out(key: bytes, border: bytes) -> bool:
    return b"\0" + key < border


@dataclass(slots=True)
class _Keys:
    """What the keys of the documents that were written say about the split."""

    count: int = 0
    held_out: int = 0
    smallest: bytes = b"\xff" * 17
    largest: bytes = b""

    def add(self, key: bytes, *, is_held_out: bool) -> None:
        self.count, self.held_out = self.count + 1, self.held_out + is_held_out
        self.smallest, self.largest = min(self.smallest, key), max(self.largest, key)


def _write_splits(documents: Iterable[str], folder: Path, border: bytes, dropped: Dropped) -> _Keys:
    """Write each document to its side."""
    keys, seen = _Keys(), set[bytes]()
    train, validation = (folder / f"{split}.jsonl" for split in SPLITS)
    with train.open("w", encoding="utf-8") as to_train, validation.open("w", encoding="utf-8") as to_validation:
        for text in (_with_line_feeds(text).strip() for text in documents):
            if not text or (content := _content_key(text)) in seen:
                dropped[DropReason.DUPLICATE if text else DropReason.BLANK] += 1
                continue
            seen.add(content)
            key = _document_key(text)
            is_held_out = _is_held_out(key, border)
            keys.add(key, is_held_out=is_held_out)
            (to_validation if is_held_out else to_train).write(_line(text))
    return keys


def _line(text: str) -> str:
    return json.dumps({"text": text}, ensure_ascii=False) + "\n"


def _check_count(num_documents: int, validation_frac: float, dropped: Dropped) -> None:
    needed = 2 if 0 < validation_frac < 1 else 1
    if num_documents < needed:
        raise UsageError(
            "too few documents to split into train and validation" if num_documents else "no documents",
            seen=f"{num_documents} documents" + (f"; dropped: {dropped_text(dropped)}" if dropped.total() else ""),
            expected="at least two, or validation: 0%" if num_documents else "text that is not blank",
        )


def _move_nearest(folder: Path, keys: _Keys) -> None:
    """Where all documents fell on one side, move the one nearest to the border to the other."""
    if 0 < keys.held_out < keys.count:
        return
    source, target = SPLITS if not keys.held_out else reversed(SPLITS)
    nearest_key = keys.largest if keys.held_out else keys.smallest
    with replacing_file(folder / f"{source}.jsonl") as kept, (folder / f"{target}.jsonl").open("wb") as moved:
        for text in _texts(folder / f"{source}.jsonl"):
            (moved if _document_key(text) == nearest_key else kept).write(_line(text).encode())


def _entry(file: Path) -> dict[str, str | int]:
    """What the manifest says of a split."""
    lengths = [0, 0]
    for text in _texts(file):
        lengths[0] += 1
        lengths[1] += len(text.encode())
    return {"file": file.name, "documents": lengths[0], "text_bytes": lengths[1], "digest": file_digest(file)}


def _texts(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            yield str(json.loads(line)["text"])
