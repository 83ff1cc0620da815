"""`bedplate.json` in a model folder: where the weights come from, what was done to them, and digests to hold them to.

A folder without one works everywhere; it only cannot say these things.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bedplate.core.errors import IntegrityError, NotFoundError
from bedplate.core.json import Json, JsonObject, digest
from bedplate.toolchain.data.shards import file_digest
from bedplate.toolchain.models.weights import weight_files

FILE = "bedplate.json"
FORMAT = "bedplate-model"
_REFETCH = "delete the folder and make it again"


def write_card(folder: Path, **about: object) -> None:
    """Write the card of the files in `folder` as they are now.

    Args:
        folder: A model folder, complete but for the card.
        about: More keys. In use: `source`, `licence`, `notes`, `corpus` (path of the corpus that it was trained on,
            whose validation text judges it), `base` (path of the model that it was made from).
    """
    files: dict[str, dict[str, Json]] = {
        file.name: {"size_bytes": file.stat().st_size, "modified_ns": file.stat().st_mtime_ns, "digest": file_digest(file)}
        for file in sorted(folder.iterdir())
        if file.is_file() and file.name != FILE
    }
    card = {"format": FORMAT, **about, "weights_digest": _weights_digest(files), "files": files}
    (folder / FILE).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def read_card(folder: Path) -> Mapping[str, Any]:
    """The card; empty where the folder has none.

    Raises:
        IntegrityError: It cannot be read.
    """
    file = folder / FILE
    if not file.is_file():
        return {}
    try:
        card: Mapping[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise IntegrityError("a damaged model card", seen=file, expected="JSON", next_step=_REFETCH) from error
    return card


def check_card(folder: Path, *, verify: bool = False) -> None:
    """Hold the folder's files to its card: sizes, and with `verify` every byte.

    Raises:
        NotFoundError: No card.
        IntegrityError: A file is missing, or is not what was written.
    """
    card = read_card(folder)
    if "files" not in card:
        raise NotFoundError("the model folder has no card that names its files", seen=folder, expected=FILE)
    for name, entry in card["files"].items():
        file = folder / name
        size = file.stat().st_size if file.is_file() else None
        if size != entry["size_bytes"]:
            seen = "nothing" if size is None else f"{size} bytes"
            raise IntegrityError(f"{name} is not whole", seen=seen, expected=f"{entry['size_bytes']} bytes", next_step=_REFETCH)
        if verify and (seen := file_digest(file)) != entry["digest"]:
            raise IntegrityError(f"{name} is damaged", seen=seen, expected=entry["digest"], next_step=_REFETCH)


def weights_digest(folder: Path) -> str:
    """What names the weights: the digest of their bytes.

    From the card where sizes and times of change still are what it says (a card that was copied beside other weights
    must not vouch for them), else computed at about 1 GB/s.
    """
    card = read_card(folder)
    files = weight_files(folder)
    if "files" in card and all(_is_unchanged(file, card["files"].get(file.name, {})) for file in files):
        return str(card["weights_digest"])
    return _weights_digest({file.name: {"digest": file_digest(file)} for file in files})


def _is_unchanged(file: Path, entry: Mapping[str, Any]) -> bool:
    now = file.stat()
    return (now.st_size, now.st_mtime_ns) == (entry.get("size_bytes"), entry.get("modified_ns"))


def _weights_digest(files: Mapping[str, JsonObject]) -> str:
    return digest([str(entry["digest"]) for name, entry in sorted(files.items()) if name.endswith(".safetensors")])
