"""The capability table: which published figures belong to what a tool prints.

The look-up is exact. A spelling belongs to a model if it is the model's name, one of its aliases, or all of it matches one of
its patterns; case and runs of spaces do not count, and one of the vendor's prefixes may stand before it (`NVIDIA A10`, `A10`).
Nothing is guessed from a similar name: an A100 is not an A10, and a card that nobody entered has no published figures. A tool
may print one spelling for two models (`Ascend 910` is a 910A of 32 GB or a die of a 910C of 64 GB): then the memory decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from bedplate.compute.capabilities.capability import Capability
from bedplate.core.devices import DECLARED, Device
from bedplate.core.errors import ConfigurationError, NotFoundError, check_known, did_you_mean
from bedplate.core.settings import read_settings
from bedplate.documents.reading import parse_document


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorFigures:
    """One file of figures."""

    vendor: str
    """`Vendor.name`."""
    prefixes: tuple[str, ...] = ()
    """What tools may print before a spelling."""
    read: Mapping[str, str] = field(default_factory=dict)
    """What was read to confirm figures, by the keys that entries use in `confirmed`."""
    models: tuple[Capability, ...]


class CapabilityTable:
    """Published figures by what tools print.

    Raises:
        ConfigurationError: A spelling belongs to two models of one vendor that their memory does not tell apart.
    """

    def __init__(self, files: Iterable[VendorFigures]) -> None:
        self.files = tuple(files)
        self._spellings: dict[tuple[str, str], list[Capability]] = {}
        for file in self.files:
            for model in file.models:
                for spelling in (model.model, *model.aliases):
                    self._enter(file.vendor, spelling, model)

    @cached_property
    def models(self) -> tuple[Capability, ...]:
        """All models, file by file."""
        return tuple(model for file in self.files for model in file.models)

    def find(self, printed: str, vendor: str | None = None, memory_bytes: int | None = None) -> Capability | None:
        """The model that a tool printed; None where it is in no file, or several models have that spelling.

        Args:
            printed: What the tool prints.
            vendor: Whose device it is, as in `Device.vendor`; None: any vendor's.
            memory_bytes: What the device says of its memory; it decides between models of one spelling, and nothing else.
        """
        files = [file for file in self.files if vendor in (None, file.vendor)]
        found = [model for file in files if (model := self._find_in(file, printed, memory_bytes)) is not None]
        return found[0] if len(found) == 1 else None

    def entries_of(self, device: Device) -> tuple[Capability, ...]:
        """The models that a device may be: one, none, or all of a family where a cluster manager names only that (`H100`)."""
        vendor = None if device.kind == "cpu" or device.vendor == DECLARED else device.vendor
        found = self.find(device.model, vendor, device.memory_bytes or None)
        if found is not None:
            return (found,)
        if device.vendor != DECLARED:
            return ()
        return tuple(model for model in self.models if _plain(model.family) == _plain(device.model))

    def wanted(self, word: str) -> tuple[Capability, ...]:
        """The models that a request means: all of a family (`A100`, `910B`) or vendor, or one by any of its spellings.

        Raises:
            NotFoundError: None of them.
        """
        for names in ([model.family for model in self.models], [model.vendor for model in self.models]):
            found = tuple(model for model, name in zip(self.models, names, strict=True) if _plain(name) == _plain(word))
            if found:
                return found
        if (model := self.find(word)) is not None:
            return (model,)
        known = sorted({name for item in self.models for name in (item.model, item.family, item.vendor)})
        raise NotFoundError(
            "no published figures of such a device",
            seen=word,
            expected="a model, family or vendor of the capability table",
            next_step=did_you_mean(word, known, "ask by the name that 'compute inventory' shows, or add a file of figures"),
        )

    def _enter(self, vendor: str, spelling: str, model: Capability) -> None:
        known = self._spellings.setdefault((vendor, _plain(spelling)), [])
        for other in known:
            if other is not model and _are_alike(other.memory, model.memory):
                raise ConfigurationError(
                    f"'{spelling}' is two models of '{vendor}'",
                    seen=f"{other.model} and {model.model}",
                    expected="each spelling once, or models whose memory differs",
                )
        known.append(model)

    def _find_in(self, file: VendorFigures, printed: str, memory_bytes: int | None) -> Capability | None:
        spellings = list(_without_prefixes(printed, file.prefixes))
        for spelling in spellings:
            if known := self._spellings.get((file.vendor, spelling)):
                fitting = known if len(known) == 1 else [item for item in known if _are_alike(item.memory, memory_bytes)]
                return fitting[0] if len(fitting) == 1 and (len(known) == 1 or memory_bytes is not None) else None
        matching = [model for model in file.models if any(_matches(model, spelling) for spelling in spellings)]
        return matching[0] if len(matching) == 1 else None


@cache
def published() -> CapabilityTable:
    """The table that ships with bedplate.

    Raises:
        ConfigurationError: A file is not valid; names file and line.
    """
    folder = resources.files("bedplate.compute.capabilities").joinpath("models")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return CapabilityTable(read_figures(file) for file in files)


def table_with(files: Sequence[Path]) -> CapabilityTable:
    """The table that ships with bedplate, and a user's own files of the same form; a vendor may be in both.

    Raises:
        ConfigurationError: A file is not valid, or a spelling belongs to two models.
    """
    return CapabilityTable([*published().files, *map(read_figures, files)])


def read_figures(file: Traversable) -> VendorFigures:
    """The figures of one file.

    Raises:
        ConfigurationError: Not YAML, an unknown or missing key, a wrong value, or figures confirmed by something that `read`
            does not name; names the file, and the line of all but the last.
    """
    document = parse_document(file.read_text(encoding="utf-8"), file.name, Path(), expected="vendor and models")
    figures = read_settings(VendorFigures, document.value, document.source)
    for model in figures.models:
        _check_patterns(model, file.name)
    models = (replace(model, vendor=figures.vendor, confirmed=_read(model, figures, file.name)) for model in figures.models)
    return replace(figures, models=tuple(models))


def _read(model: Capability, figures: VendorFigures, where: str) -> Mapping[str, tuple[str, ...]]:
    """`confirmed` of a model by what its keys stand for."""
    for key in model.confirmed:
        check_known(
            key,
            figures.read,
            f"'{model.model}' is confirmed by a key that 'read' does not have:",
            seen=f"{key} in {where}",
            expected=", ".join(figures.read) or "a key of 'read'",
            error=ConfigurationError,
        )
    return {figures.read[key]: names for key, names in model.confirmed.items()}


def _are_alike(one: int | None, other: int | None) -> bool:
    """Whether two sizes of memory may be the same: drivers and error correction keep up to a tenth for themselves."""
    return one is None or other is None or abs(one - other) < 0.15 * max(one, other)


def _check_patterns(model: Capability, where: str) -> None:
    for pattern in model.patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ConfigurationError(
                f"a pattern of '{model.model}' is no regular expression",
                where=where,
                seen=f"{pattern}: {error}",
                expected="a regular expression of Python",
            ) from None


def _matches(model: Capability, spelling: str) -> bool:
    return any(re.fullmatch(pattern, spelling, re.IGNORECASE) for pattern in model.patterns)


def _without_prefixes(printed: str, prefixes: Sequence[str]) -> Iterable[str]:
    """The spelling as it is, and without each prefix that it has."""
    plain = _plain(printed)
    yield plain
    for prefix in map(_plain, prefixes):
        if plain.startswith(prefix):
            yield plain.removeprefix(prefix).strip()


def _plain(spelling: str) -> str:
    return " ".join(spelling.casefold().split())
