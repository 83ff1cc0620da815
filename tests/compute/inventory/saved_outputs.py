"""The fixtures, as the readers get them."""

from pathlib import Path

from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.compute.inventory.tools.saved import read_saved
from bedplate.core.devices import Device

FIXTURES = Path(__file__).parent / "fixtures"


def saved(*names: str, tool: str | None = None) -> tuple[Device, ...]:
    """Devices from the fixtures of these names."""
    return read_saved([output_of(name) for name in names], tool)


def output_of(name: str) -> ToolOutput:
    """One fixture, named by its path."""
    return ToolOutput(text=(FIXTURES / name).read_text(), source=name)


def read_text(text: str, tool: str | None = None) -> tuple[Device, ...]:
    """Devices from one text."""
    return read_saved([ToolOutput(text=text, source="saved.txt")], tool)


def all_fixtures() -> list[str]:
    """Their paths."""
    return sorted(file.relative_to(FIXTURES).as_posix() for file in FIXTURES.glob("*/*"))
