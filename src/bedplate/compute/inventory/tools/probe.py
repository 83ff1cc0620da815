"""Runs a vendor's tools and hands what they print to their readers: the probe of every vendor that has no library here.

It lives in the process of its own that `take.py` starts and cuts off. All commands of a tool run at once. A command that the
tool does not know is normal; one that hangs is cut off after `COMMAND_LIMIT_S` and reported, and the rest is still read.
The first tool that answers is believed; one before it that did not is a trouble.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bedplate.compute.inventory.tools.output import Outputs, ToolOutput
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device
from bedplate.core.errors import BedplateError, UnavailableError

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import TroubleKind, Vendor

COMMAND_LIMIT_S = 7.0
"""Of one command; below the limit of the whole probe, so that one that hangs does not cost the others."""


class ToolProbe:
    """Devices of one vendor, by its tools in the order of its record."""

    def __init__(self, vendor: Vendor, *, limit_s: float = COMMAND_LIMIT_S) -> None:
        self._vendor, self._limit_s = vendor, limit_s
        self.troubles: list[tuple[TroubleKind, str]] = []
        """What went wrong although devices were found: a tool that is broken, a command that hung."""

    def is_present(self) -> bool:
        """Whether one of the tools is installed."""
        return any(path_of(reader) for reader in self._vendor.readers)

    def devices(self) -> tuple[Device, ...]:
        """What the first tool that works says.

        Raises:
            UnavailableError: There is a tool, and none of them works.
            ConfigurationError: The only tool prints what its reader does not understand.
        """
        failed: list[BedplateError] = []
        for reader in self._vendor.readers:
            if (path := path_of(reader)) is None:
                continue
            try:
                found = self._ask(reader, path)
            except BedplateError as error:
                failed.append(error)
                continue
            self.troubles += [("broken", str(error)) for error in failed]
            return found
        if failed:
            raise failed[0]
        return ()

    def _ask(self, reader: ToolReader, path: str) -> tuple[Device, ...]:
        once = [form for form in reader.forms if form.is_run and "{device}" not in " ".join(form.command)]
        printed = self._run_all(path, [call for form in once for call in _calls(form)])
        outputs = _by_form(reader, printed)
        if not outputs and any(_is_others(self._vendor, item.output.text) for item in printed):
            return ()
        if not outputs:
            raise UnavailableError(
                f"{reader.tool} gives no list of devices",
                seen=_words(printed) or "it prints nothing",
                next_step="run it by hand, and see that the vendor's driver is loaded",
            )
        each = [form for form in reader.forms if form.is_run and form not in once]
        if each and reader.num_devices is not None:
            numbers = range(reader.num_devices(outputs))
            printed += self._run_all(path, [call for number in numbers for form in each for call in _calls(form, number)])
            outputs = _by_form(reader, printed)
        if missing := [form for form in reader.forms if form.is_run and not form.is_optional and form.name not in outputs]:
            said = next((item for item in printed if item.call.form is missing[0]), None)
            raise UnavailableError(
                f"'{reader.tool} {' '.join(missing[0].command)}' does not answer",
                seen=_words([said]) if said else None,
                next_step="run it by hand",
            )
        return reader.read(self._vendor, outputs)

    def _run_all(self, path: str, calls: Sequence[_Call]) -> list[_Printed]:
        with ThreadPoolExecutor(max_workers=max(1, min(16, len(calls)))) as runners:
            printed = list(runners.map(lambda call: _run(path, call, self._limit_s), calls))
        hung = [item.output.source for item in printed if item.is_hung]
        self.troubles += [("hung", f"{source} hangs: no answer within {self._limit_s:g} s") for source in hung]
        return printed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    form: Form
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Printed:
    call: _Call
    output: ToolOutput
    errors: str = ""
    is_hung: bool = field(default=False)


def _calls(form: Form, device: int = 0) -> list[_Call]:
    commands = (form.command, *form.other_commands)
    return [_Call(form=form, words=tuple(word.replace("{device}", str(device)) for word in command)) for command in commands]


def path_of(reader: ToolReader) -> str | None:
    """Where the tool is, or None."""
    return shutil.which(reader.tool) or next((path for path in reader.other_paths if Path(path).is_file()), None)


def _run(path: str, call: _Call, limit_s: float) -> _Printed:
    source = " ".join([Path(path).name, *call.words])
    with tempfile.TemporaryDirectory(prefix="bedplate-tool-") as folder:
        try:
            ended = subprocess.run(
                [path, *call.words],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _Printed(call=call, output=ToolOutput(text="", source=source), is_hung=True)
        except OSError as error:
            return _Printed(call=call, output=ToolOutput(text="", source=source), errors=str(error))
        written = Path(folder) / call.form.written_file
        text = written.read_text(errors="replace") if call.form.written_file and written.is_file() else ended.stdout
    return _Printed(call=call, output=ToolOutput(text=text, source=source), errors=ended.stderr)


def _by_form(reader: ToolReader, printed: Iterable[_Printed]) -> Outputs:
    """By the text, not by the command: some tools print one form for another, or an error that is none."""
    outputs: dict[str, list[ToolOutput]] = {}
    for item in printed:
        if (form := reader.form_of(item.output.text)) is not None:
            outputs.setdefault(form.name, []).append(item.output)
    return outputs


def _is_others(vendor: Vendor, text: str) -> bool:
    """Whether the tool shows another vendor's devices, as a rocm-smi beside a hy-smi does: normal, and not ours to list."""
    from bedplate.compute.inventory.registry import VENDORS

    return any(reader.is_surely_of(text) for other in VENDORS if other.name != vendor.name for reader in other.readers)


def _words(printed: Iterable[_Printed]) -> str:
    """The first words that somebody could act on."""

    def said() -> Iterator[str]:
        for item in printed:
            if item.is_hung:
                yield f"{item.output.source} hangs"
            yield from (item.errors.strip() or item.output.text.strip()).splitlines()[:1]

    return next(said(), "")[:200]
