"""Files of the user's that a pipeline file names: made absolute, checked, and part of what identifies a run.

A value that begins with `./`, `../`, `/` or `~/` is a path; relative ones start at the folder of the pipeline file. A
file counts as changed when its size or its time of change did, as make has it: hashing a dataset on every start is slow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from bedplate.core.errors import ConfigurationError
from bedplate.core.json import Json
from bedplate.core.settings import KeyPath, Source

_MAX_FILES = 20_000


def with_absolute_paths(value: Json, folder: Path, source: Source, path: KeyPath) -> Json:
    """`value` with its paths made absolute.

    Raises:
        ConfigurationError: One of them does not exist; names `file:line`.
    """
    if isinstance(value, Mapping):
        return {key: with_absolute_paths(item, folder, source, (*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_absolute_paths(item, folder, source, (*path, index)) for index, item in enumerate(value)]
    if not isinstance(value, str) or not _is_path(value):
        return value
    absolute = (folder / Path(value).expanduser()).resolve()
    if not absolute.exists():
        raise ConfigurationError(
            f"'{'.'.join(map(str, path[-1:]))}' names a file that does not exist",
            where=source.where(path),
            seen=absolute,
            expected="a file or folder; relative paths start at the folder of the pipeline file",
        )
    return str(absolute)


def input_digests(value: Json) -> Iterator[list[Json]]:
    """Path, size and time of change of every file that `value` names, those in folders included."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from input_digests(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from input_digests(item)
    elif isinstance(value, str) and _is_path(value) and Path(value).exists():
        for file in _files(Path(value)):
            facts = file.stat()
            yield [str(file), facts.st_size, facts.st_mtime_ns]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        return iter((path,))
    return itertools.islice((file for file in sorted(path.rglob("*")) if file.is_file()), _MAX_FILES)


def _is_path(text: str) -> bool:
    return text.startswith(("./", "../", "/", "~/"))
