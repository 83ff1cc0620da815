"""A corpus: cleaned documents, split into train and validation, with a manifest that vouches for them.

A document's own digest decides its split, so the split does not change when documents are added, reordered or found
twice (a copy lands on the same side; exact copies are dropped). Where no document falls on one side, the one nearest
to the border moves there, since a corpus without held-out text cannot be judged.

    manifest.json      format, source, licence, splits: {train: {file, documents, bytes, digest}, validation: {…}}
    train.jsonl        one {"text": …} a line
    validation.jsonl
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bedplate.core.errors import IntegrityError, NotFoundError, UsageError
from bedplate.core.json import JsonObject, digest
from bedplate.toolchain.data.shards import file_digest

FORMAT = "bedplate-corpus"
VERSION = 1
SPLITS = ("train", "validation")


def write_corpus(documents: Iterable[str], folder: Path, validation_frac: float, about: JsonObject) -> Mapping[str, Any]:
    """Write the documents and the manifest into `folder`; returns the manifest.

    Args:
        documents: Plain texts; blank ones and exact copies are dropped.
        folder: Is made; must not hold another corpus.
        validation_frac: Share of documents to hold out, 0 to 1; between them, each side gets at least one.
        about: Goes into the manifest: source, licence, anything else.

    Raises:
        UsageError: Fewer documents than a split needs.
    """
    by_key = {_document_key(text): text for text in (text.strip() for text in documents) if text}
    held_out = _held_out(by_key, validation_frac)
    folder.mkdir(parents=True, exist_ok=True)
    splits: dict[str, dict[str, str | int]] = {}
    for split in SPLITS:
        texts = [text for key, text in by_key.items() if (key in held_out) == (split == "validation")]
        file = folder / f"{split}.jsonl"
        with file.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
        size = sum(len(text.encode()) for text in texts)
        splits[split] = {"file": file.name, "documents": len(texts), "text_bytes": size, "digest": file_digest(file)}
    manifest = {"format": FORMAT, "version": VERSION, **about, "validation_frac": validation_frac, "splits": splits}
    manifest["digest"] = digest([str(splits[split]["digest"]) for split in SPLITS])
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def read_corpus_manifest(folder: Path) -> Mapping[str, Any]:
    """The manifest of a corpus.

    Raises:
        NotFoundError: `folder` is not a corpus.
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
    manifest: Mapping[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return manifest


def read_documents_of(folder: Path, split: str) -> Iterator[str]:
    """Documents of one split, in order.

    Raises:
        NotFoundError: Not a corpus.
        IntegrityError: The file is not what was written.
    """
    entry = read_corpus_manifest(folder)["splits"][split]
    file = folder / str(entry["file"])
    if not file.is_file() or file_digest(file) != entry["digest"]:
        next_step = "delete the corpus folder and run the data step again"
        raise IntegrityError("a file of the corpus is damaged", seen=file, expected=entry["digest"], next_step=next_step)
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            yield str(json.loads(line)["text"])


def _document_key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _held_out(keys: Iterable[bytes], validation_frac: float) -> set[bytes]:
    ranked = sorted(keys)
    if len(ranked) < (2 if 0 < validation_frac < 1 else 1):
        raise UsageError(
            "too few documents to split into train and validation" if ranked else "no documents",
            seen=f"{len(ranked)} documents",
            expected="at least two, or validation: 0%" if ranked else "text that is not blank",
        )
    if validation_frac >= 1:
        return set(ranked)
    border = int(validation_frac * (1 << 128)).to_bytes(17, "big")
    count = sum(b"\0" + key < border for key in ranked)
    if validation_frac > 0:
        count = min(max(count, 1), len(ranked) - 1)
    return set(ranked[:count])
