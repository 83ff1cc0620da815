"""Turns a corpus into token shards, stored in the corpus, once per tokenizer.

Documents are encoded in small batches (the tokenizers library uses the cores that the process has) and written shard
by shard; each finished shard is a line in a journal, so a run that was killed continues after the last one. The folder gets its
name when all is written, so it is complete wherever it is seen. A lock lets the ranks of a gang call this together: one
works, the others wait and find it done.

How a document becomes tokens is `tokenizer.py`'s business. The key of the cache holds everything that decides them: the
corpus, the tokenizer, the separator (a changed `eos_token_id` makes new shards), the type on disk and this format's version.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bedplate.core.errors import IntegrityError, ResourcesError
from bedplate.core.files import file_lock, sync_folder, write_file
from bedplate.core.json import digest
from bedplate.toolchain.data.corpus import SPLITS, read_corpus_manifest, read_documents_of
from bedplate.toolchain.data.layout import TOKENS_PREFIX
from bedplate.toolchain.data.shards import FORMAT, REMAKE, VERSION, file_digest
from bedplate.toolchain.data.tokenizer import DocumentEncoder

DOCUMENTS_AT_ONCE = 16
SHARD_TOKENS = 1 << 24

Report = Callable[[float, float, str], None]


def tokenise(
    corpus: Path,
    model: Path,
    out: Path | None = None,
    *,
    report: Report | None = None,
    shard_tokens: int = SHARD_TOKENS,
) -> Path:
    """The folder of token shards of `corpus` under the tokenizer of `model`; made if it is not there yet.

    Args:
        corpus: A folder that `write_corpus` made.
        model: A folder with `tokenizer.json` and a model's or tokenizer's config.
        out: Where the shards go; None: `tokens-<digest>` inside the corpus folder.
        report: Called as report(documents done, documents in all, "documents") after each batch: a heartbeat too.
        shard_tokens: Tokens of one file, about.

    Raises:
        NotFoundError: No corpus, or no tokenizer.
        IntegrityError: The corpus is not what was written.
        UsageError: The tokenizer cannot be read.
        ResourcesError: The disk is full; what is finished is kept for the next call.
    """
    plan = _plan(corpus, model)
    folder = out if out is not None else corpus / f"{TOKENS_PREFIX}{digest(plan.identity)[:12]}"
    if _is_made(folder, plan):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(folder.with_name(f".{folder.name}.lock")):
        if not _is_made(folder, plan):
            try:
                _write(corpus, plan, folder, report or (lambda done, total, unit: None), shard_tokens)
            except OSError as error:
                next_step = "free some space and run the command again; finished shards are kept"
                raise ResourcesError("token shards could not be written", seen=error, next_step=next_step) from error
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    identity: Mapping[str, Any]
    """Everything that decides the tokens; also the cache key."""
    encoder: DocumentEncoder
    num_documents: int
    max_tokens: int | None


def _plan(corpus: Path, model: Path) -> _Plan:
    manifest = read_corpus_manifest(corpus)
    encoder = DocumentEncoder.of(model)
    max_tokens = manifest.get("max_tokens")
    return _Plan(
        identity={"version": VERSION, "corpus_digest": manifest["digest"], "max_tokens": max_tokens, **encoder.identity},
        encoder=encoder,
        num_documents=sum(int(manifest["splits"][split]["documents"]) for split in SPLITS),
        max_tokens=max_tokens,
    )


def _is_made(folder: Path, plan: _Plan) -> bool:
    file = folder / "manifest.json"
    if not file.is_file():
        return False
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError("a damaged manifest", seen=f"{file}: {error}", expected="JSON", next_step=REMAKE) from error
    return all(manifest.get(key) == value for key, value in plan.identity.items())


def _write(corpus: Path, plan: _Plan, folder: Path, report: Report, shard_tokens: int) -> None:
    # Not `replacing_folder`, which starts anew: a killed run continues in this folder. The caller's lock guards the name.
    aside = folder.with_name(f".{folder.name}.partial")
    aside.mkdir(exist_ok=True)
    journal = _Journal(aside / "journal.jsonl", plan)
    done = 0
    for split in SPLITS:
        written = journal.entries_of(split)
        done += (skip := sum(int(entry["documents"]) for entry in written))
        room = None if plan.max_tokens is None or split != "train" else plan.max_tokens
        room = None if room is None else room - sum(int(entry["tokens"]) for entry in written)
        documents = islice(read_documents_of(corpus, split), skip, None)
        for tokens, num_documents in _shards(documents, plan, shard_tokens, room, done, report):
            name = f"{split}-{len(journal.entries_of(split)):05d}.bin"
            write_file(aside / name, tokens.astype(plan.encoder.dtype).tobytes())
            entry = {"split": split, "file": name, "tokens": len(tokens), "documents": num_documents}
            journal.add(entry | {"digest": file_digest(aside / name)})
            done += num_documents
    text = json.dumps({"format": FORMAT, **plan.identity, "shards": journal.entries}, indent=2) + "\n"
    write_file(aside / "manifest.json", text.encode())
    journal.file.unlink()
    aside.rename(folder)
    sync_folder(folder.parent)


def _shards(
    documents: Iterator[str], plan: _Plan, shard_tokens: int, room: int | None, done: int, report: Report
) -> Iterator[tuple[Any, int]]:
    """Yield (tokens, documents in them) whenever `shard_tokens` are together, and what is left at the end."""
    parts: list[Any] = []
    size = num_documents = 0
    while (room is None or room > 0) and (batch := list(islice(documents, DOCUMENTS_AT_ONCE))):
        for tokens in plan.encoder.encode(batch):
            if room is not None and room <= 0:
                break
            ids = tokens[:room]
            room = None if room is None else room - len(ids)
            parts.append(ids)
            size, num_documents = size + len(ids), num_documents + 1
        report(done + num_documents, plan.num_documents, "documents")
        if size >= shard_tokens:
            yield np.concatenate(parts), num_documents
            done += num_documents
            parts, size, num_documents = [], 0, 0
    if parts:
        yield np.concatenate(parts), num_documents


class _Journal:
    """Which shards are finished; starts empty where it was kept for another corpus or tokenizer."""

    def __init__(self, file: Path, plan: _Plan) -> None:
        self.file, self.entries = file, []
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        head = json.dumps(dict(plan.identity), sort_keys=True)
        if lines and lines[0] == head:
            self.entries = list(_whole_entries(lines[1:], file.parent))
        write_file(file, "".join(f"{line}\n" for line in [head, *map(json.dumps, self.entries)]).encode())

    def entries_of(self, split: str) -> list[Mapping[str, Any]]:
        return [entry for entry in self.entries if entry["split"] == split]

    def add(self, entry: Mapping[str, Any]) -> None:
        self.entries.append(entry)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _whole_entries(lines: list[str], folder: Path) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # the line that was being written when the process died
            return
        if not (folder / entry["file"]).is_file() or file_digest(folder / entry["file"]) != entry["digest"]:
            return
        yield entry
