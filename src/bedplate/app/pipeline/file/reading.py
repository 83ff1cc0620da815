"""Reads a pipeline file and checks it completely before anything runs; all of its mistakes are told at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bedplate.app.pipeline.contract.needs import Needs, contradiction
from bedplate.app.pipeline.contract.use_case import UseCase, load_use_case
from bedplate.app.pipeline.file.content_digests import ContentDigests
from bedplate.app.pipeline.file.definition import NAME_PATTERN, Pipeline, Step
from bedplate.app.pipeline.file.inputs import resolve_inputs
from bedplate.app.pipeline.file.order import ordered
from bedplate.app.pipeline.file.references import references_in, resolved
from bedplate.app.uses import USES
from bedplate.core.errors import ConfigurationError, did_you_mean, nearest
from bedplate.core.json import Json, JsonObject
from bedplate.core.settings import Mistakes, Place, Source, read_settings, unknown_key
from bedplate.documents.reading import Document

_TOP_KEYS = ("version", "name", "needs", "steps")
_OF_EVERY_STEP = ("use", "after")
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A file, as far as it makes sense."""

    pipeline: Pipeline
    """Without the steps that make no sense; what its inputs hold was not looked at."""
    mistakes: Mistakes
    """What makes no sense."""

    def complete(self, *, is_kept: bool = True) -> Pipeline:
        """The pipeline, with what identifies the content of its inputs; reads them.

        Args:
            is_kept: Keep digests of large inputs for the next start; False writes nothing.

        Raises:
            ConfigurationError: There were mistakes.
        """
        self.mistakes.raise_all()
        digests = ContentDigests.of_user()
        steps = tuple(replace(step, inputs_read=step.read_inputs(digests)) for step in self.pipeline.steps)
        if is_kept:
            digests.save()
        return replace(self.pipeline, steps=steps)


def read_pipeline(document: Document, uses: Mapping[str, str] = USES) -> Pipeline:
    """Check everything that can be checked without asking the use cases.

    Raises:
        ConfigurationError: Unknown keys, uses or references (with the nearest right one), wrong units or types, missing
            input files, steps that wait for each other; names `file:line`, and carries all that was found (`mistakes`).
        UnavailableError: A use case cannot be loaded.
    """
    return examine_pipeline(document, uses).complete()


def examine_pipeline(
    document: Document, uses: Mapping[str, str] = USES, *, owner: str = "", file: str | None = None
) -> Examined:
    """The same, but mistakes are returned with what could be read in spite of them.

    Args:
        document: What was read.
        uses: Use cases by name.
        owner: User of a service whose run it is; empty: whoever runs the command.
        file: The file's name where `document` was not read from it here.

    Raises:
        UnavailableError: A use case cannot be loaded.
    """
    value, source, mistakes = document.value, document.source, Mistakes()
    mistakes.found += [unknown_key(key, _TOP_KEYS, source, (key,)) for key in value if key not in _TOP_KEYS]
    version, name, needs = value.get("version"), value.get("name", "pipeline"), Needs()
    if version != 1 or type(version) is not int:  # True and 1.0 equal 1
        where = source.where(("version",))
        mistakes.found.append(ConfigurationError("'version' must be 1", where=where, seen=version, expected="version: 1"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        mistakes.found.append(_bad_name("name", name, source.where(("name",))))
    with mistakes.collected():
        _refuse_two_numbers(_mapping(value.get("needs")), source)
        needs = read_settings(Needs, value.get("needs", {}), source, ("needs",))
    steps = {}
    for step_name, keys in _written_steps(value, source, mistakes).items():
        with mistakes.collected():
            steps[step_name] = _read_step(step_name, keys, tuple(_mapping(value.get("steps"))), document, uses)
    order = tuple(steps)
    with mistakes.collected():
        order = ordered({name: {*step.after, *step.inputs} & steps.keys() for name, step in steps.items()}, source)
    pipeline = Pipeline(
        name=str(name),
        needs=needs,
        steps=tuple(map(steps.__getitem__, order)),
        document=value,
        file=source.file if file is None else file,
        owner=owner,
    )
    return Examined(pipeline=pipeline, mistakes=mistakes)


def _refuse_two_numbers(needs: JsonObject, source: Source) -> None:
    """Where both names of the cores of a worker are written, a default cannot be told from a 1 once they are read."""
    one, other = needs.get("cpus_per_worker"), needs.get("cpu_per_device")
    if one is not None and other is not None and one != other:
        error = contradiction("cpus_per_worker", "cpu_per_device", f"{one} and {other}")
        raise Place(source, ("needs", "cpus_per_worker")).error(error.what, error.seen, error.expected, error.next_step)


def _mapping(written: Json) -> JsonObject:
    return written if isinstance(written, Mapping) else {}


def _written_steps(value: JsonObject, source: Source, mistakes: Mistakes) -> JsonObject:
    steps = _mapping(value.get("steps"))
    if not steps and "steps" not in {nearest(key, _TOP_KEYS) for key in value if key not in _TOP_KEYS}:
        where = source.where(("steps",))
        expected = "steps: {name: {use: …}}"
        mistakes.found.append(ConfigurationError("'steps' must name at least one step", where=where, expected=expected))
    mistakes.found += [
        _bad_name("step name", name, source.where(("steps", name))) for name in steps if not _NAME.fullmatch(name)
    ]
    return steps


def _read_step(name: str, keys: Json, names: tuple[str, ...], document: Document, uses: Mapping[str, str]) -> Step:
    source, path = document.source, ("steps", name)
    if not isinstance(keys, Mapping):
        raise ConfigurationError(f"step '{name}' must be a mapping", where=source.where(path), seen=keys, expected="{use: …}")
    case, mistakes, after = _read_use(name, keys, source, uses), Mistakes(), tuple[str, ...]()
    settings: JsonObject = {key: item for key, item in keys.items() if key not in _OF_EVERY_STEP}
    written = settings
    mistakes.found += _unknown_references(name, settings, names, source)
    with mistakes.collected():
        after = _read_after(name, keys.get("after", ()), names, source)
    with mistakes.collected():
        written = resolve_inputs(case.settings, settings, document.folder, source, path)
    with mistakes.collected():
        read_settings(case.settings, resolved({**keys, **written}, {}), source, path, beside=_OF_EVERY_STEP)
    mistakes.raise_all()
    inputs = tuple(dict.fromkeys(other for other, _ in references_in(settings)))
    return Step(name=name, case=case, after=after, inputs=inputs, written=written, inputs_read=(), source=source)


def _read_use(name: str, keys: JsonObject, source: Source, uses: Mapping[str, str]) -> UseCase:
    use, path = keys.get("use"), ("steps", name)
    if not isinstance(use, str):
        expected = ", ".join(sorted(uses))
        raise ConfigurationError(f"step '{name}' needs 'use'", where=source.where(path), seen=use, expected=expected)
    if use not in uses:
        raise unknown_key(use, uses, source, (*path, "use"), what="use")
    return load_use_case(use, uses)


def _read_after(name: str, written: Json, names: tuple[str, ...], source: Source) -> tuple[str, ...]:
    path, mistakes = ("steps", name, "after"), Mistakes()
    after = [written] if isinstance(written, str) else written
    if not isinstance(after, list | tuple) or not all(isinstance(other, str) for other in after):
        raise ConfigurationError(
            "'after' must be a list of steps", where=source.where(path), seen=written, expected="[name, …]"
        )
    mistakes.found += [unknown_key(str(other), names, source, path, what="step") for other in after if other not in names]
    mistakes.raise_all()
    return tuple(str(other) for other in after)


def _unknown_references(
    name: str, settings: JsonObject, names: tuple[str, ...], source: Source
) -> Iterator[ConfigurationError]:
    for other, path in references_in(settings, ("steps", name)):
        if other not in names:
            yield ConfigurationError(
                f"unknown reference '${other}'",
                where=source.where(path),
                seen=f"${other}",
                expected=", ".join(f"${known}" for known in names if known != name),
                next_step=did_you_mean(other, names, "write $$ for a dollar sign", form="${}"),
            )


def _bad_name(what: str, seen: object, where: str | None) -> ConfigurationError:
    return ConfigurationError(f"invalid {what}", where=where, seen=seen, expected="a letter, then letters, digits, '_' or '-'")
