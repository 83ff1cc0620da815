"""Tokens on disk: flat little-endian files that are mapped, not read, and a manifest that says what they are.

    manifest.json            format, dtype, separator, digests of tokenizer and corpus, one entry per shard
    train-00000.bin …        tokens, each document followed by the separator
    validation-00000.bin …

    shards = TokenShards(folder, "train")     # IntegrityError where a byte changed since it was written
    len(shards)                               # tokens
    shards.window(i, 512)                     # int64 (513,): inputs are [:-1], targets [1:]; windows share one token
    shards.num_windows(512)
    shards.tokens(limit=8192)                 # the first tokens of the split, for evaluation

Cost: opening reads every byte once to check it (about 1 GB/s; `verify=False` skips that); a window costs its own bytes.
"""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedplate.core.errors import IntegrityError, NotFoundError, UsageError

FORMAT = "bedplate-tokens"
VERSION = 2
"""2: documents are encoded by the tokenizer's template, and the digest names what the tokenizer does, not its file."""
REMAKE = "delete the folder and tokenise the corpus again"
_HASHED_AT_ONCE_BYTES = 1 << 22

Tokens = npt.NDArray[np.int64]


class TokenShards:
    """The tokens of one split, over all its files. Read-only; safe to use from several threads and processes."""

    def __init__(self, folder: Path, split: str = "train", *, verify: bool = True) -> None:
        """Map the files of `split`.

        Raises:
            NotFoundError: No manifest, no such split, or a file is missing.
            IntegrityError: A file has another size or digest than the manifest says.
        """
        self.folder, self.split = Path(folder), split
        self.manifest = read_manifest(self.folder)
        entries = [entry for entry in self.manifest["shards"] if entry["split"] == split]
        if not entries:
            known = sorted({entry["split"] for entry in self.manifest["shards"]})
            next_step = "hold out some documents ('validation: 5%' of data.text), or train with 'evaluate: {tokens: 0}'"
            raise NotFoundError(
                f"no tokens of split '{split}'",
                seen=f"{', '.join(known)} in {folder}",
                expected=split,
                next_step=next_step if split == "validation" else None,
            )
        dtype = np.dtype(self.manifest["dtype"])
        self._files = [_map_shard(self.folder, entry, dtype, verify=verify) for entry in entries]
        self._ends = list(accumulate(len(file) for file in self._files))
        self.num_documents = sum(int(entry["documents"]) for entry in entries)

    def __len__(self) -> int:
        return self._ends[-1]

    @property
    def separator(self) -> int:
        """The token that follows each document."""
        return int(self.manifest["separator"])

    def num_windows(self, length: int) -> int:
        """Windows of `length` inputs that the split holds.

        Raises:
            UsageError: Not even one.
        """
        if (count := (len(self) - 1) // length) < 1:
            raise UsageError(
                f"the {self.split} text is too short",
                seen=f"{len(self)} tokens",
                expected=f"at least {length + 1} for one sample of {length}",
                next_step="use a shorter sequence or more text",
            )
        return count

    def window(self, index: int, length: int) -> Tokens:
        """Window `index`: int64 (length + 1,); the last token is the first of window `index + 1`."""
        return self._slice(index * length, index * length + length + 1)

    def tokens(self, limit: int | None = None) -> Tokens:
        """The first `limit` tokens (all with None), int64."""
        return self._slice(0, len(self) if limit is None else min(limit, len(self)))

    def _slice(self, start: int, end: int) -> Tokens:
        if not 0 <= start <= end <= len(self):
            raise IndexError(f"tokens {start} to {end} of {len(self)}")
        out = np.empty(end - start, dtype=np.int64)
        at = start
        while at < end:
            file = bisect.bisect_right(self._ends, at)
            begin = self._ends[file] - len(self._files[file])
            until = min(end, self._ends[file])
            out[at - start : until - start] = self._files[file][at - begin : until - begin]
            at = until
        return out


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """The manifest of a folder of shards.

    Raises:
        NotFoundError: There is none.
        IntegrityError: It is not one of ours, or of a later version.
    """
    file = folder / "manifest.json"
    if not file.is_file():
        raise NotFoundError("not a folder of token shards", seen=folder, expected="manifest.json and *.bin")
    try:
        manifest: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError("a damaged manifest", seen=file, expected="JSON", next_step=REMAKE) from error
    if manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        seen = f"{manifest.get('format')} {manifest.get('version')} in {file}"
        raise IntegrityError("not a manifest of token shards", seen=seen, expected=f"{FORMAT} {VERSION}", next_step=REMAKE)
    return manifest


def file_digest(file: Path) -> str:
    """BLAKE2b-256 of a file's bytes, 64 hex digits; about 1 GB/s."""
    hashed = hashlib.blake2b(digest_size=32)
    with file.open("rb") as stream:
        while block := stream.read(_HASHED_AT_ONCE_BYTES):
            hashed.update(block)
    return hashed.hexdigest()


def _map_shard(folder: Path, entry: Mapping[str, Any], dtype: np.dtype[Any], *, verify: bool) -> npt.NDArray[Any]:
    file = folder / str(entry["file"])
    if not file.is_file():
        raise NotFoundError("a shard is missing", seen=file, expected=f"{entry['tokens']} tokens", next_step=REMAKE)
    expected_bytes = int(entry["tokens"]) * dtype.itemsize
    if (size := file.stat().st_size) != expected_bytes:
        raise IntegrityError(f"shard {file.name} has the wrong size", seen=size, expected=expected_bytes, next_step=REMAKE)
    if verify and (seen := file_digest(file)) != entry["digest"]:
        raise IntegrityError(f"shard {file.name} is damaged", seen=seen, expected=entry["digest"], next_step=REMAKE)
    return np.memmap(file, dtype=dtype, mode="r")
