"""Devices from saved outputs of a tool: `compute inventory --from FILE --tool NAME`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bedplate.compute.inventory.base import Vendor
from bedplate.compute.inventory.registry import VENDORS
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device
from bedplate.core.errors import UsageError, check_known

Candidate = tuple[Vendor, ToolReader]


def known_tools(vendors: Sequence[Vendor] = VENDORS) -> tuple[str, ...]:
    """Names of all tools whose outputs are understood."""
    return tuple(dict.fromkeys(reader.tool for vendor in vendors for reader in vendor.readers))


def read_saved(
    outputs: Sequence[ToolOutput], tool: str | None = None, vendors: Sequence[Vendor] = VENDORS
) -> tuple[Device, ...]:
    """Devices from outputs of one tool on one machine; several outputs where its facts come from several commands.

    Args:
        outputs: What was saved.
        tool: The tool that printed them; None where the texts tell.
        vendors: Whose tools are considered.

    Raises:
        UsageError: An unknown tool; a text that no tool, another tool, or more than one could have printed.
        ConfigurationError: A text that ends too early or cannot be understood, with its line.
    """
    candidates = [(vendor, reader) for vendor in vendors for reader in vendor.readers]
    if tool is not None:
        check_known(tool, known_tools(vendors), "unknown tool")
        named = [candidate for candidate in candidates if candidate[1].tool == tool]
    else:
        named = candidates
    vendor, reader = _common([(output, _printers(output, named, candidates, tool)) for output in outputs])
    by_form: dict[str, list[ToolOutput]] = {}
    for output in outputs:
        form = reader.form_of(output.text)
        assert form is not None  # `_common` chose a reader that understands every output
        by_form.setdefault(form.name, []).append(output)
    return reader.read(vendor, by_form)


def _printers(
    output: ToolOutput, named: Sequence[Candidate], everyone: Sequence[Candidate], tool: str | None
) -> list[Candidate]:
    """Who of `named` could have printed it; those who surely did, if any."""
    if not output.text.strip():
        raise output.refusal("the output is empty", seen="nothing", expected=f"what {tool or 'a tool'} prints")
    if found := _certain(output, named):
        return found
    if others := _certain(output, [candidate for candidate in everyone if candidate not in named]):
        vendor, reader = others[0]
        looks = f"{reader.tool} of {vendor.name}" if reader.tool == tool else reader.tool
        raise UsageError(
            f"{output.source} is not an output of {tool}",
            seen=f"it looks like one of {looks}",
            expected=_commands(named),
            next_step=f"--tool {reader.tool}",
        )
    raise UsageError(
        f"{output.source} is not an output of {tool}" if tool else f"no known tool prints what is in {output.source}",
        seen=repr(output.text.strip().splitlines()[0][:80]),
        expected=_commands(named) if tool else f"an output of {', '.join(known_tools([v for v, _ in everyone]))}",
    )


def _certain(output: ToolOutput, among: Iterable[Candidate]) -> list[Candidate]:
    matching = [candidate for candidate in among if candidate[1].form_of(output.text) is not None]
    return [candidate for candidate in matching if candidate[1].is_surely_of(output.text)] or matching


def _common(printers: Sequence[tuple[ToolOutput, list[Candidate]]]) -> Candidate:
    """The one that could have printed every output."""
    left = list(printers[0][1])
    for output, could in printers[1:]:
        both = [candidate for candidate in left if candidate in could]
        if not both:
            first = printers[0][0].source
            raise UsageError(
                "the outputs are not of one tool",
                seen=f"{first}: {_names(left)}; {output.source}: {_names(could)}",
                expected="outputs of one tool on one machine",
                next_step="read each alone",
            )
        left = both
    if len({vendor.name for vendor, _ in left}) > 1:
        raise UsageError(
            f"{printers[0][0].source} could be of more than one tool", seen=_names(left), next_step=f"--tool {left[0][1].tool}"
        )
    return left[0]


def _names(candidates: Iterable[Candidate]) -> str:
    return " or ".join(dict.fromkeys(reader.tool for _, reader in candidates))


def _commands(candidates: Iterable[Candidate]) -> str:
    """The commands whose outputs would have been right."""
    found = [_command(reader, form) for _, reader in candidates for form in reader.forms]
    return "what one of these prints: " + ", ".join(f"'{command}'" for command in found)


def _command(reader: ToolReader, form: Form) -> str:
    words = (word if len(word) < 40 else f"{word[:32]}…" for word in form.command)
    return " ".join((reader.tool, *words)).replace("{device}", "N")
