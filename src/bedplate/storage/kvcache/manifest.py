"""`store.json`: what marks a directory as a KV store, and what its segments must hold.

Headers alone cannot show that a segment was once longer. So a segment that is complete is sealed: its size and number of
blocks go into the manifest, and a segment that holds less is damaged, not torn. A segment that is not in it was being
written when its process died; its tail was never guaranteed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.errors import IntegrityError, UsageError
from bedplate.core.files import write_file
from bedplate.core.json import digest
from bedplate.core.messages import decode, encode

MANIFEST_FILE = "store.json"
_FORMAT = "bedplate-kv"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSegment:
    """A segment that is not written to any more."""

    number: int
    bytes: int
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    format: str
    version: int
    segments: tuple[SealedSegment, ...]


def read_manifest(directory: Path) -> dict[int, SealedSegment]:
    """Sealed segments by number; empty where there is no manifest.

    Raises:
        IntegrityError: It is damaged.
        UsageError: It is of another version.
    """
    file = directory / MANIFEST_FILE
    try:
        document = json.loads(file.read_bytes())
        content = {name: value for name, value in document.items() if name != "digest"}
        if document["digest"] != digest(content):
            raise ValueError("its content does not match its digest")
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, AttributeError) as error:
        raise IntegrityError(
            "the KV store's manifest is damaged",
            seen=f"{file}: {error}",
            next_step="delete the KV store's directory (it is only a cache), or name another one",
        ) from error
    if (content.get("format"), content.get("version")) != (_FORMAT, _VERSION):
        raise UsageError(
            "a KV store of another version",
            seen=f"{file}: {content.get('format')} {content.get('version')}",
            expected=f"{_FORMAT} {_VERSION}",
            next_step="use the version of bedplate that made it, or another directory",
        )
    return {segment.number: segment for segment in decode(_Manifest, content).segments}


def write_manifest(directory: Path, sealed: Mapping[int, SealedSegment]) -> None:
    """Replace the manifest; what it names must be on the disk already.

    Raises:
        OSError: The disk is full or broken; the old manifest stays.
    """
    segments = tuple(sealed[number] for number in sorted(sealed))
    content = encode(_Manifest(format=_FORMAT, version=_VERSION, segments=segments))
    write_file(directory / MANIFEST_FILE, json.dumps({**content, "digest": digest(content)}, indent=1) + "\n")
