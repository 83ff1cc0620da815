"""What a pipeline file says: steps, their settings, their order, and what makes two runs the same work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bedplate.app.pipeline.contract.step import Needs
from bedplate.app.pipeline.contract.use_case import UseCase
from bedplate.app.pipeline.file.content_digests import ContentDigests
from bedplate.app.pipeline.file.inputs import input_identities, without_places
from bedplate.app.pipeline.file.references import resolved
from bedplate.core.json import Json, JsonObject, digest
from bedplate.core.settings import Source, identifying, read_settings

KEY_FORMAT = "0.1.0"
"""Version of what `Pipeline.key` is made of: to be changed only when equal files no longer mean equal work, since every
finished run is forgotten then. The first format bears the version of the bedplate that introduced it. What stands for an input
took another form since (docs/decisions/0025); the two can never be equal, so files without inputs kept their keys."""
NAME_PATTERN = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
"""What the name of a pipeline or step looks like."""


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

    def read_inputs(self, digests: ContentDigests) -> tuple[list[Json], ...]:
        """What identifies the content of the files that it reads, as they are now."""
        return tuple(input_identities(self.case.settings, self.written, digests))

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
    owner: str = ""
    """User of a service whose run it is: two users of a service do not share a run. Empty: whoever runs the command."""

    def key(self) -> str:
        """What makes two runs the same work: content (but for operational settings), inputs and the key's format.

        Where inputs lie does not count, nor when they were touched; their names and their content do. 32 hex digits.
        """
        steps: Json = [[step.name, step.case.name, list(step.after), _identifying(step)] for step in self.steps]
        inputs: Json = [identity for step in self.steps for identity in step.inputs_read]
        needs = _identifying_needs(self.document.get("needs"))
        owner = {"owner": self.owner} if self.owner else {}
        return digest({"name": self.name, "needs": needs, "steps": steps, "inputs": inputs, "by": KEY_FORMAT, **owner})


def _identifying_needs(written: Json) -> Json:
    """What of `needs` counts; a file with operational keys only is the same work as one without `needs`."""
    if not isinstance(written, Mapping):
        return written
    kept = identifying(Needs, written)
    return kept if kept or not written else None


def _identifying(step: Step) -> JsonObject:
    return identifying(step.case.settings, without_places(step.case.settings, step.written))
