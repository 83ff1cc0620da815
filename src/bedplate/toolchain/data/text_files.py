"""Which files of a folder hold text, in which format and compression, and which were left out.

A file's name decides, upper or lower case: a format, and behind it a compression where there is one.

    .jsonl .ndjson    one document per line            .gz .bz2 .xz .zst
    .txt              split at blank lines             the same
    .xml              a MediaWiki export               the same; also names like `…pages-articles1.xml-p1p9.bz2`
    .parquet          one document per row             inside the file
"""

from __future__ import annotations

import bz2
import enum
import gzip
import io
import lzma
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bedplate.core.errors import NotFoundError, UnavailableError, UsageError


class TextFormat(enum.StrEnum):
    """How a file holds its documents."""

    JSON_LINES = "JSON lines"
    PLAIN = "plain text"
    MEDIAWIKI = "MediaWiki export"
    PARQUET = "Parquet"


_FORMATS: Mapping[str, TextFormat] = {
    ".jsonl": TextFormat.JSON_LINES,
    ".ndjson": TextFormat.JSON_LINES,
    ".txt": TextFormat.PLAIN,
    ".xml": TextFormat.MEDIAWIKI,
    ".parquet": TextFormat.PARQUET,
}
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
KNOWN_NAMES = f"{', '.join(_FORMATS)}, the first of them also with {', '.join(_COMPRESSIONS)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A file that holds documents."""

    path: Path
    format: TextFormat
    compression: str = ""
    """`.gz`, `.bz2`, `.xz`, `.zst`, or empty."""

    def open(self) -> IO[bytes]:
        """Its content, decompressed as it is read.

        Raises:
            UnavailableError: The package that decompresses it is not installed.
        """
        match self.compression:
            case ".gz":
                return gzip.open(self.path)  # type: ignore[return-value]
            case ".bz2":
                return bz2.open(self.path)
            case ".xz":
                return lzma.open(self.path)
            case ".zst":
                arrow: Any = import_pyarrow()
                return io.BufferedReader(arrow.CompressedInputStream(arrow.OSFile(str(self.path)), "zstd"))
        return self.path.open("rb")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFiles:
    """What was found."""

    files: tuple[TextFile, ...]
    """In the order of their paths."""
    left_out: tuple[Path, ...] = ()
    """Files of other kinds, hidden files and folders, and links to nothing."""


def find_text_files(source: Path) -> TextFiles:
    """The file `source`, or the files of a folder and of all folders in it; links are followed.

    Raises:
        NotFoundError: Nothing is there, or no text.
        UsageError: The file is of a kind that is not known.
    """
    if source.is_file():
        if (file := text_file(source)) is None:
            raise UsageError("this text format is not supported", seen=source, expected=KNOWN_NAMES)
        return TextFiles(files=(file,))
    if not source.is_dir():
        raise NotFoundError("no such text", seen=source, expected="a file or folder of text, or wikipedia-sample")
    candidates, left_out = _walk(source)
    known = {path: text_file(path) for path in candidates}
    left_out += [path for path, file in known.items() if file is None]
    files = tuple(file for file in known.values() if file is not None)
    if not files:
        seen = f"{source}: {named(left_out, source) or 'it is empty'}"
        raise NotFoundError("no text in the folder", seen=seen, expected=KNOWN_NAMES)
    return TextFiles(files=files, left_out=tuple(sorted(left_out)))


def text_file(path: Path) -> TextFile | None:
    """What the name of a file says about it; None where it is no text that is known."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in _COMPRESSIONS else ""
    format_ = _FORMATS.get(suffixes[-1]) if suffixes else None
    if compression and (format_ is None or format_ is TextFormat.PARQUET):
        format_ = TextFormat.MEDIAWIKI if ".xml-" in path.name.lower() or "pages-articles" in path.name.lower() else None
    return None if format_ is None else TextFile(path=path, format=format_, compression=compression)


def named(paths: list[Path] | tuple[Path, ...], folder: Path, at_most: int = 5) -> str:
    """`a.md, b.pdf and 7 more`, relative to `folder`."""
    texts = [str(path.relative_to(folder)) for path in sorted(paths)]
    more = f" and {len(texts) - at_most} more" if len(texts) > at_most else ""
    return ", ".join(texts[:at_most]) + more


def _walk(folder: Path) -> tuple[list[Path], list[Path]]:
    """(files, what is left out: hidden files and folders, links to nothing); each real folder once, so links make no loop."""
    files: list[Path] = []
    left_out: list[Path] = []
    visited: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(root)) in visited:
            folders.clear()
            continue
        visited.add(real)
        left_out += [Path(root) / name for name in (*folders, *names) if name.startswith(".")]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(root) / name for name in names if not name.startswith(".")]
    left_out += [path for path in files if not path.exists()]
    return sorted(path for path in files if path.is_file()), left_out


def import_pyarrow() -> Any:
    """The package that reads Parquet and zstd.

    Raises:
        UnavailableError: It is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UnavailableError(
            "reading .parquet and .zst needs pyarrow", seen=error, next_step="pip install 'bedplate[train]'"
        ) from error
    return pyarrow
