"""`bedplate.json` in a model folder: what the model is, what it was made from, and the digests of its files.

One shape for every model, however it was made; written by `write_card`, read by `read_card`, the shapes of earlier releases
included. A folder without a card works everywhere; it only lacks these facts.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bedplate._version import __version__
from bedplate.core.errors import IntegrityError, MessageError, NotFoundError
from bedplate.core.files import write_file
from bedplate.core.json import JsonObject, digest
from bedplate.core.messages import decode, encode
from bedplate.toolchain.data.shards import file_digest
from bedplate.toolchain.models.derived import files_to_keep
from bedplate.toolchain.models.digests import DigestCache
from bedplate.toolchain.models.weights import SINGLE, weight_files

FILE = "bedplate.json"
FORMAT = "bedplate-model"
VERSION = 2
RUN_FACTS = "training.json"
"""Facts of the run that made the model; they grow after the card is written, so the card does not cover them."""
_REMAKE = "delete the folder and make it again"


class ModelKind(enum.StrEnum):
    """How the folder came to be."""

    FETCHED = "fetched"
    """Taken as published."""
    CONVERTED = "converted"
    """Unpacked from another format."""
    TRAINED = "trained"
    COMPRESSED = "compressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFile:
    """A file of the folder as it was written."""

    size_bytes: int
    modified_ns: int
    digest: str
    """BLAKE2b-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Something that the model was made from."""

    path: str
    digest: str
    """Of a model: its `weights_digest`; of token shards: the digest of their list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a model folder says about itself."""

    format: Literal["bedplate-model"] = "bedplate-model"
    version: int = VERSION
    kind: ModelKind
    made_by: str = f"bedplate {__version__}"
    name: str | None = None
    """As in the catalog or on the hub."""
    source: str | None = None
    """Where it comes from, for people."""
    licence: str | None = None
    notes: str | None = None
    base: Origin | None = None
    """The model that it was made from."""
    data: Origin | None = None
    """What it was trained on."""
    corpus: str | None = None
    """Folder of the text that it was trained on; its held-out part judges what is made from this model."""
    details: JsonObject = field(default_factory=dict)
    """Figures of how it was made: steps, tokens, precision, scheme."""
    weights_digest: str = ""
    """What names the weights; see `weights_digest`. Empty in cards of the first release."""
    files: Mapping[str, CardFile] = field(default_factory=dict)
    """By path in the folder; `write_card` fills it."""


def write_card(folder: Path, about: ModelCard) -> ModelCard:
    """Write the card of the files in `folder` as they are now, and return it.

    Args:
        folder: A model folder, complete but for the card.
        about: Everything but `weights_digest` and `files`.
    """
    names = [name for name in _names(folder) if name not in (FILE, RUN_FACTS)]
    files = {name: _describe(folder / name) for name in names}
    digests = {file.name: files[file.name].digest for file in weight_files(folder)}
    card = replace(about, weights_digest=digest_of_weights(digests), files=files)
    write_file(folder / FILE, json.dumps(encode(card), indent=2, ensure_ascii=False) + "\n")
    return card


def read_card(folder: Path) -> ModelCard | None:
    """The card; None where the folder has none.

    Raises:
        IntegrityError: It cannot be read, or a newer bedplate wrote it.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        version = document.get("version", 1)
        if isinstance(version, int) and version > VERSION:
            raise IntegrityError(
                "a newer bedplate wrote the model card", seen=f"version {version}", expected=f"at most {VERSION}"
            )
        return decode(ModelCard, document if version == VERSION else _as_version_2(document))
    except (ValueError, AttributeError, KeyError, TypeError, MessageError) as error:
        raise IntegrityError("a damaged model card", seen=f"{file}: {error}", next_step=_REMAKE) from error


def check_card(folder: Path, *, verify: bool = False) -> None:
    """Hold the folder's files to its card: sizes, and with `verify` every byte.

    Raises:
        NotFoundError: No card that names files.
        IntegrityError: A file is missing, or is not what was written.
    """
    card = read_card(folder)
    if card is None or not card.files:
        raise NotFoundError("the model folder has no card that lists its files", seen=folder, expected=FILE)
    for name, entry in card.files.items():
        file = folder / name
        size = file.stat().st_size if file.is_file() else None
        if size != entry.size_bytes:
            seen = "nothing" if size is None else f"{size} bytes"
            raise IntegrityError(f"{name} is incomplete", seen=seen, expected=f"{entry.size_bytes} bytes", next_step=_REMAKE)
        if verify and (seen := file_digest(file)) != entry.digest:
            raise IntegrityError(f"{name} is damaged", seen=seen, expected=entry.digest, next_step=_REMAKE)


def is_result_of(folder: Path, *kinds: ModelKind) -> bool:
    """Whether bedplate made this folder in one of these ways, and nothing was added to it since.

    What `core.files.replacing_folder` asks before it replaces an earlier result.
    """
    try:
        card = read_card(folder)
    except IntegrityError:
        return False
    if card is None or card.kind not in kinds:
        return False
    written = card.files or (SINGLE, "config.json", *(str(file.relative_to(folder)) for file in files_to_keep(folder)))
    return {*written, FILE, RUN_FACTS}.issuperset(_names(folder))


def weights_digest(folder: Path, cache: DigestCache | None = None) -> str:
    """What names the weights: the digest of the digests of their files.

    A file whose size and time of change match the card is not read again (a card that was copied to other weights
    does not count); else the cache is consulted, and only then are the bytes read, at about 1 GB/s.

    Raises:
        See `weight_files`; IntegrityError for a damaged card.
    """
    card, cache = read_card(folder), cache or DigestCache.of_user()
    known = card.files if card else {}
    digests = {
        file.name: known[file.name].digest
        if file.name in known and _is_unchanged(file, known[file.name])
        else cache.digest(file)
        for file in weight_files(folder)
    }
    return digest_of_weights(digests)


def digest_of_weights(digests: Mapping[str, str]) -> str:
    """The name of the weights whose files have these digests, by file name."""
    return digest([value for _, value in sorted(digests.items())])


def _names(folder: Path) -> list[str]:
    """Paths in the folder of everything in it that is not a folder."""
    return sorted(str(item.relative_to(folder)) for item in folder.rglob("*") if item.is_symlink() or not item.is_dir())


def _describe(file: Path) -> CardFile:
    now = file.stat()
    return CardFile(size_bytes=now.st_size, modified_ns=now.st_mtime_ns, digest=file_digest(file))


def _is_unchanged(file: Path, entry: CardFile) -> bool:
    now = file.stat()
    return (now.st_size, now.st_mtime_ns) == (entry.size_bytes, entry.modified_ns)


def _as_version_2(document: Mapping[str, Any]) -> dict[str, Any]:
    """The two shapes of the first release: with files for fetched and compressed models, with lineage for trained ones."""
    card = {key: document[key] for key in ("name", "source", "licence", "notes", "corpus") if document.get(key)}
    card |= {"format": FORMAT, "version": VERSION, "made_by": "bedplate 0.1.0"}
    base = document.get("base")
    if document.get("made_by") == "train":
        details = {key: document[key] for key in ("steps", "tokens", "precision")}
        origin = {"path": base["path"], "digest": digest_of_weights(base["weights"])} if base else None
        return card | {"kind": ModelKind.TRAINED.value, "base": origin, "data": document["data"], "details": details}
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']}")
    card |= {"kind": (ModelKind.COMPRESSED if base else ModelKind.CONVERTED).value}
    card |= {"base": {"path": base, "digest": document["base_weights"]}} if base else {}
    return card | {key: document[key] for key in ("weights_digest", "files")}
