"""Files and folders that settings name: resolved once, checked, and part of what identifies a run.

Which settings name files, their types say (`core.settings.Input`). Relative paths start at the folder of the pipeline file,
never at the working directory; a use case gets absolute paths, or a name that is no path. In settings whose type does not
say (a use case of the user's own), a text that begins with `./`, `../`, `/` or `~/` is a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bedplate.app.pipeline.file.content_digests import ContentDigests
from bedplate.app.pipeline.file.identity import identity_of
from bedplate.app.pipeline.file.references import escaped, references_in, replaced
from bedplate.app.pipeline.file.walking import changed, walk
from bedplate.core.errors import ConfigurationError, did_you_mean
from bedplate.core.json import Json, JsonObject
from bedplate.core.settings import Input, KeyPath, Mistakes, Source, looks_like_path, type_at

_FREE = Input()


def resolve_inputs(
    settings: type,
    written: JsonObject,
    folder: Path,
    source: Source | None = None,
    path: KeyPath = (),
    *,
    has_references: bool = True,
) -> dict[str, Json]:
    """Settings with every file or folder that they name made absolute; references to steps stay as they are.

    Args:
        settings: The settings class, whose types say which values are paths.
        written: Plain values by key.
        folder: Where relative paths start.
        source: Where the values were written, for errors.
        path: Where `written` stands in the source.
        has_references: False where a dollar sign is only that: on a command line.

    Raises:
        ConfigurationError: Files do not exist; names `file:line` of each.
    """
    source, mistakes = source or Source(), Mistakes()

    def resolve(place: KeyPath, leaf: Json) -> Json:
        mark = _input_at(settings, place[len(path) :], leaf)
        if mark is None or not isinstance(leaf, str):
            return leaf
        with mistakes.collected():
            if not has_references:
                return _resolved(leaf, mark, folder, source, place)
            if not any(references_in(leaf)):
                return escaped(_resolved(replaced(leaf, {}), mark, folder, source, place))
        return leaf

    resolved = changed(written, resolve, path)
    mistakes.raise_all()
    assert isinstance(resolved, dict)
    return resolved


def resolve_words(settings: type, words: JsonObject) -> dict[str, Json]:
    """Settings from a command line as a document of this process has them: paths from the working directory, `$` escaped.

    Raises:
        ConfigurationError: A file does not exist.
    """
    resolved = resolve_inputs(settings, words, Path.cwd(), has_references=False)
    escape = changed(resolved, lambda _, leaf: escaped(leaf) if isinstance(leaf, str) else leaf)
    assert isinstance(escape, dict)
    return escape


def input_identities(settings: type, resolved: JsonObject, digests: ContentDigests) -> Iterator[list[Json]]:
    """What identifies the content of every file that `resolved` names: its setting, then as `identity_of` says."""
    for place, file, mark in named_inputs(settings, resolved):
        if _exists(file):
            yield from ([place, *facts] for facts in identity_of(file, mark.derived, digests))


def named_inputs(settings: type, resolved: JsonObject) -> Iterator[tuple[str, Path, Input]]:
    """Every file or folder that `resolved` names: its setting, its absolute path, and what the setting's type says of it."""
    for place, leaf in walk(resolved):
        if (named := _named_input(settings, place, leaf)) is not None:
            yield ".".join(map(str, place)), *named


def without_places(settings: type, resolved: JsonObject) -> dict[str, Json]:
    """`resolved` with the names of files and folders in the place of their paths: the same wherever they lie.

    A path in a setting whose type does not say that it is an input stays: nobody knows what is done with it.
    """

    def name_of(place: KeyPath, leaf: Json) -> Json:
        named = _named_input(settings, place, leaf)
        return leaf if named is None or named[1] is _FREE else ["input", named[0].name]

    named = changed(resolved, name_of)
    assert isinstance(named, dict)
    return named


def _named_input(settings: type, place: KeyPath, leaf: Json) -> tuple[Path, Input] | None:
    mark = _input_at(settings, place, leaf)
    if mark is None or not isinstance(leaf, str) or any(references_in(leaf)):
        return None
    file = Path(replaced(leaf, {}))
    return (file, mark) if file.is_absolute() else None


def _input_at(settings: type, path: KeyPath, leaf: Json) -> Input | None:
    value_type = type_at(settings, path)
    mark = None if value_type is None else value_type.mark(Input)
    return _FREE if mark is None and isinstance(leaf, str) and looks_like_path(leaf) else mark


def _resolved(text: str, mark: Input, folder: Path, source: Source, place: KeyPath) -> str:
    if text in mark.words:
        return text
    file = folder / _expanded(text)
    if text and _exists(file):
        return str(file.resolve())
    if mark.or_name and not looks_like_path(text) and re.fullmatch(mark.name_pattern, text):
        return text
    raise ConfigurationError(
        f"'{place[-1] if place else text}' names a file that does not exist",
        where=source.where(place),
        seen=file if text else "an empty text",
        expected=f"{mark}; relative paths start at {folder}",
        next_step=did_you_mean(text, (*mark.words, *_names_in(folder)), "check the path"),
    )


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user
        return Path(text)


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _names_in(folder: Path) -> list[str]:
    try:
        return [item.name for item in folder.iterdir()]
    except OSError:
        return []
