"""How a vendor's tool is asked and understood: one record a tool, in the vendor's own file.

A tool prints in several *forms*: `npu-smi` a table, a mapping, a topology. Each form is recognised by its text alone, so it
does not matter whether the command was run a moment ago or its output was saved last week. The reader gets all forms at once
and joins them, by the ids that they have in common. It is pure: no command, no file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bedplate.compute.inventory.tools.output import Outputs
from bedplate.core.devices import Device

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One shape in which a tool prints."""

    name: str
    """Unique in its tool: `info`, `topology`."""
    command: tuple[str, ...]
    """What prints it, without the tool's name. `{device}` stands for the number of a device: run once for each."""
    other_commands: tuple[tuple[str, ...], ...] = ()
    """Commands that print it in other releases of the tool; all of them are run."""
    matches: Callable[[str], bool]
    """Whether a text is of this form. Quick; may be true for the same form of another vendor's tool."""
    is_certain: Callable[[str], bool] | None = None
    """Whether a text that matches can be of this vendor's tool only. None: whenever it matches."""
    is_run: bool = True
    """Whether the probe runs the command. False: its facts come from another form too, and this one is only read from files."""
    is_optional: bool = True
    """Whether a tool that cannot print it is normal: an older one, or a machine without such a link."""
    written_file: str = ""
    """The file in the working directory that the command writes instead of printing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReader:
    """One tool of one vendor."""

    tool: str
    """Its command: `npu-smi`. Two vendors may have tools of the same name."""
    forms: tuple[Form, ...]
    read: Callable[[Vendor, Outputs], tuple[Device, ...]]
    """Devices from what was printed. Raises ConfigurationError, with the line, where it cannot be understood."""
    num_devices: Callable[[Outputs], int] | None = None
    """How many devices the outputs list, for a tool with forms of one device each (`{device}`)."""
    other_paths: tuple[str, ...] = ()
    """Where the tool also is when it is not on PATH: `/opt/rocm/bin/rocm-smi`."""

    def form_of(self, text: str) -> Form | None:
        """The form that a text is of, or None."""
        return next((form for form in self.forms if form.matches(text)), None)

    def is_surely_of(self, text: str) -> bool:
        """Whether only this tool prints such a text."""
        form = self.form_of(text)
        return form is not None and (form.is_certain is None or form.is_certain(text))
