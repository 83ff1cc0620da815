"""What a pipeline file says, read and checked completely before anything runs: steps, their settings, their order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bedplate.app.pipeline.contract.step import Needs
from bedplate.app.pipeline.contract.use_case import UseCase, load_use_case
from bedplate.app.pipeline.file.inputs import input_identities, resolve_inputs
from bedplate.app.pipeline.file.order import ordered
from bedplate.app.pipeline.file.references import references_in, resolved
from bedplate.app.uses import USES
from bedplate.core.errors import ConfigurationError, did_you_mean
from bedplate.core.json import Json, JsonObject, digest
from bedplate.core.settings import Source, identifying, read_settings, setting_fields, unknown_key
from bedplate.documents.reading import Document

_TOP_KEYS = ("version", "name", "needs", "steps")
KEY_FORMAT = "0.1.0"
"""Version of what `Pipeline.key` is made of: to be changed only when equal files no longer mean equal work, since every
finished run is forgotten then. The first format bears the version of the bedplate that introduced it."""
NAME_PATTERN = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
"""What the name of a pipeline or step looks like."""
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a pipeline."""

    name: str
    case: UseCase
    after: tuple[str, ...]
    """Steps named by `after`."""
    inputs: tuple[str, ...]
    """Steps whose paths its settings refer to."""
    written: JsonObject
    """Its settings as written, paths made absolute, references still in them."""
    inputs_read: tuple[list[Json], ...]
    """What identifies the content of the files that it reads: see `input_identities`."""
    source: Source

    def settings(self, paths: Mapping[str, str]) -> Any:
        """Its settings, read, with the references that `paths` knows replaced.

        Raises:
            ConfigurationError: See `read_settings`.
        """
        return read_settings(self.case.settings, resolved(self.written, paths), self.source, ("steps", self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A file that was read: its steps in the order in which they run."""

    name: str
    needs: Needs
    steps: tuple[Step, ...]
    document: JsonObject
    """The file's content."""
    file: str

    def key(self) -> str:
        """What makes two runs the same work: content (but for operational settings), inputs and the key's format.

        32 hex digits.
        """
        steps: Json = [
            [step.name, step.case.name, list(step.after), identifying(step.case.settings, step.written)] for step in self.steps
        ]
        inputs: Json = [identity for step in self.steps for identity in step.inputs_read]
        needs = self.document.get("needs")
        return digest({"name": self.name, "needs": needs, "steps": steps, "inputs": inputs, "by": KEY_FORMAT})


def read_pipeline(document: Document, uses: Mapping[str, str] = USES) -> Pipeline:
    """Check everything that can be checked without running a step.

    Raises:
        ConfigurationError: An unknown key, use or reference (with the nearest right one), a wrong unit or type, a
            missing input file, steps that wait for each other; names `file:line`.
        UnavailableError: A use case cannot be loaded.
    """
    value, source = document.value, document.source
    for key in value:
        if key not in _TOP_KEYS:
            raise unknown_key(key, _TOP_KEYS, source, (key,))
    version = value.get("version")
    if version != 1 or type(version) is not int:  # True and 1.0 equal 1
        where = source.where(("version",))
        raise ConfigurationError("'version' must be 1", where=where, seen=version, expected="version: 1")
    name = value.get("name", "pipeline")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _bad_name("name", name, source.where(("name",)))
    needs = read_settings(Needs, value.get("needs", {}), source, ("needs",))
    steps = _read_steps(value.get("steps"), document, uses)
    order = ordered({name: {*step.after, *step.inputs} for name, step in steps.items()}, source)
    return Pipeline(name=name, needs=needs, steps=tuple(map(steps.__getitem__, order)), document=value, file=source.file)


def _read_steps(written: Json, document: Document, uses: Mapping[str, str]) -> dict[str, Step]:
    source = document.source
    if not isinstance(written, Mapping) or not written:
        where = source.where(("steps",))
        raise ConfigurationError("'steps' must name at least one step", where=where, expected="steps: {name: {use: …}}")
    for name in written:
        if not _NAME.fullmatch(name):
            raise _bad_name("step name", name, source.where(("steps", name)))
    return {name: _read_step(name, keys, tuple(written), document, uses) for name, keys in written.items()}


def _read_step(name: str, keys: Json, names: tuple[str, ...], document: Document, uses: Mapping[str, str]) -> Step:
    source, path = document.source, ("steps", name)
    if not isinstance(keys, Mapping):
        raise ConfigurationError(f"step '{name}' must be a mapping", where=source.where(path), seen=keys, expected="{use: …}")
    use = keys.get("use")
    if not isinstance(use, str):
        expected = ", ".join(sorted(uses))
        raise ConfigurationError(f"step '{name}' needs 'use'", where=source.where(path), seen=use, expected=expected)
    if use not in uses:
        raise unknown_key(use, uses, source, (*path, "use"), what="use")
    case = load_use_case(use, uses)
    known = ["use", "after", *setting_fields(case.settings)]
    for key in keys:
        if key not in known:
            raise unknown_key(key, known, source, (*path, key))
    settings = {key: item for key, item in keys.items() if key not in ("use", "after")}
    written = resolve_inputs(case.settings, settings, document.folder, source, path)
    step = Step(
        name=name,
        case=case,
        after=_read_after(name, keys.get("after", ()), names, source),
        inputs=_read_inputs(name, settings, names, source),
        written=written,
        inputs_read=tuple(input_identities(case.settings, written)),
        source=source,
    )
    step.settings({})
    return step


def _read_after(name: str, written: Json, names: tuple[str, ...], source: Source) -> tuple[str, ...]:
    path = ("steps", name, "after")
    after = [written] if isinstance(written, str) else written
    if not isinstance(after, list | tuple) or not all(isinstance(other, str) for other in after):
        raise ConfigurationError(
            "'after' must be a list of steps", where=source.where(path), seen=written, expected="[name, …]"
        )
    for other in after:
        if other not in names:
            raise unknown_key(str(other), names, source, path, what="step")
    return tuple(str(other) for other in after)


def _read_inputs(name: str, settings: JsonObject, names: tuple[str, ...], source: Source) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for other, path in references_in(settings, ("steps", name)):
        if other not in names:
            raise ConfigurationError(
                f"unknown reference '${other}'",
                where=source.where(path),
                seen=f"${other}",
                expected=", ".join(f"${known}" for known in names if known != name),
                next_step=did_you_mean(other, names, "write $$ for a dollar sign", form="${}"),
            )
        found[other] = None
    return tuple(found)


def _bad_name(what: str, seen: object, where: str | None) -> ConfigurationError:
    return ConfigurationError(f"invalid {what}", where=where, seen=seen, expected="a letter, then letters, digits, '_' or '-'")
