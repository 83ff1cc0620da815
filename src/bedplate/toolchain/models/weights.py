"""Which files of a folder are the model's weights, and what their headers say; no torch, no byte of a weight is read.

A folder collects files: shards of an older save, an adapter, a copy for another program. So nothing counts because of its
ending alone. In this order: `model.safetensors.index.json` names the file of each tensor; else `model.safetensors` is the
model; else a complete set `model-00001-of-0000N.safetensors`. Two of these that disagree are refused, since other
programs choose differently.

A safetensors file is 8 bytes (the length of the header, little-endian), the header (JSON: dtype, shape and place of each
tensor), and the data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.errors import IntegrityError, NotFoundError, UsageError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_SHARD = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")
POINTER = b"version https://git-lfs"
"""How a file begins that Git LFS has not downloaded."""
_REFETCH = "fetch the model again"
_MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""
_NOT_WEIGHTS = re.compile(r"(?:.*\.)?rotary_emb\.(?:inv_freq|original_inv_freq|cos_cached|sin_cached)")
"""Tables that older programs stored; they follow from the config."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """A tensor as the headers describe it."""

    file: Path
    dtype: str
    """In the format's words: `BF16`, `I8`, …"""
    shape: tuple[int, ...]


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of the model in `folder` by name; tables that follow from the config are left out.

    Raises:
        NotFoundError: The folder holds no weights that a decoder could load; names what it holds instead.
        IntegrityError: A shard is missing, cut short, not downloaded (a Git LFS pointer), or is not what the index says.
        UsageError: Two sets of weights, or a tensor that is stored twice.
    """
    index = folder / INDEX
    named = _read_index(index) if index.is_file() else None
    found: dict[str, StoredTensor] = {}
    for file in weight_files(folder):
        for name, tensor in read_header(file).items():
            if named is not None and named.get(name) != file.name:
                continue
            if name in found and not _NOT_WEIGHTS.fullmatch(name):
                raise UsageError(
                    "a tensor is stored twice",
                    seen=f"{name} in {found[name].file.name} and {file.name}",
                    expected="each tensor in one file",
                    next_step="delete the file that is out of date",
                )
            found[name] = tensor
    if lost := sorted(set(named or ()) - set(found)):
        seen, expected = f"no '{lost[0]}' in {(named or {})[lost[0]]}", f"what {INDEX} says"
        raise IntegrityError("a shard lacks a tensor", seen=seen, expected=expected, next_step=_REFETCH)
    return {name: tensor for name, tensor in found.items() if not _NOT_WEIGHTS.fullmatch(name)}


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files that hold the model's weights, in the order of their names; errors as in `stored_tensors`."""
    if (folder / INDEX).is_file():
        names = sorted(set(_read_index(folder / INDEX).values()))
        if (folder / SINGLE).is_file() and SINGLE not in names:
            raise UsageError(
                "the folder holds two sets of weights",
                seen=f"{SINGLE}, and {INDEX} that names {', '.join(names[:3])}",
                next_step=f"delete {SINGLE}, or {INDEX} and its shards, whichever is out of date",
            )
        return _existing(folder, names, f"{INDEX} names it")
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    return _shards_without_index(folder)


def size_bytes(folder: Path) -> int:
    """Bytes of the weight files; errors as in `stored_tensors`."""
    return sum(file.stat().st_size for file in weight_files(folder))


def read_header(file: Path) -> dict[str, StoredTensor]:
    """What a safetensors file holds, from its header; whether all of the data is there is checked too.

    Raises:
        IntegrityError: The file is cut short, no safetensors file, or a Git LFS pointer.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        begin = stream.read(8)
        if (begin + stream.read(len(POINTER) - len(begin))).startswith(POINTER):
            raise IntegrityError(
                f"{file.name} is a Git LFS pointer, not the weights",
                seen=f"{file}, {size} bytes",
                next_step="run 'git lfs pull' in the folder, or fetch the model again",
            )
        stream.seek(8)
        length = int.from_bytes(begin, "little")
        if len(begin) < 8 or length > min(size - 8, _MAX_HEADER_BYTES):
            raise _damaged(file, f"{size} bytes", f"a header of {length} bytes and the data" if len(begin) == 8 else "a header")
        text = stream.read(length)
    try:
        header = json.loads(text)
        entries = {str(name): entry for name, entry in header.items() if name != "__metadata__"}
        tensors = {
            name: StoredTensor(file=file, dtype=str(entry["dtype"]), shape=tuple(map(int, entry["shape"])))
            for name, entry in entries.items()
        }
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise _damaged(file, f"a header that cannot be read: {error}", "the JSON of a safetensors file") from error
    if 8 + length + end != size:
        raise _damaged(file, f"{size} bytes", f"{8 + length + end} bytes")
    return tensors


def _read_index(file: Path) -> dict[str, str]:
    """File name by tensor name."""
    try:
        named = json.loads(file.read_text(encoding="utf-8"))["weight_map"]
        if not isinstance(named, dict) or not named:
            raise ValueError("no weight_map")
        for name in named.values():
            if not isinstance(name, str) or Path(name).name != name:
                raise ValueError(f"not a file name: {name!r}")
    except (ValueError, KeyError, TypeError) as error:
        seen = f"{file}: {error}"
        raise IntegrityError(f"{INDEX} cannot be read", seen=seen, expected="weight_map", next_step=_REFETCH) from error
    return named


def _shards_without_index(folder: Path) -> tuple[Path, ...]:
    present = sorted(file.name for file in folder.glob("*.safetensors"))
    counts = {int(match[2]) for name in present if (match := _SHARD.fullmatch(name))}
    if not counts:
        raise _no_weights(folder, present)
    if len(counts) > 1:
        seen = " and ".join(f"of {count}" for count in sorted(counts))
        next_step = "delete the shards that are out of date"
        raise UsageError("the folder holds shards of two saves, and no index", seen=seen, expected=INDEX, next_step=next_step)
    count = counts.pop()
    names = [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]
    return _existing(folder, names, f"the other shards declare {count}")


def _existing(folder: Path, names: Iterable[str], because: str) -> tuple[Path, ...]:
    files = tuple(folder / name for name in names)
    if missing := [file.name for file in files if not file.is_file()]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise IntegrityError(f"a shard is missing: {missing[0]}{more}", seen=folder, expected=because, next_step=_REFETCH)
    return files


def _no_weights(folder: Path, present: list[str]) -> NotFoundError:
    others = present or sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth", "*.gguf") for file in folder.glob(pattern))
    next_step = None
    if any(name.startswith("adapter_") for name in others):
        next_step = "an adapter is not a model: merge it into its base, and use the result"
    elif others and not present:
        next_step = "save the model as safetensors first"
    elif len(present) == 1:
        next_step = f"rename {present[0]} to {SINGLE}"
    seen = f"{folder}: {', '.join(others[:3])}" if others else folder
    expected = f"{SINGLE}, or {INDEX} and its shards"
    return NotFoundError("no weights in the model folder", seen=seen, expected=expected, next_step=next_step)


def _damaged(file: Path, seen: str, expected: str) -> IntegrityError:
    return IntegrityError(f"{file.name} is damaged", seen=f"{file}: {seen}", expected=expected, next_step=_REFETCH)
