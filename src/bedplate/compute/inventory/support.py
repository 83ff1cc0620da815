"""The support table of `docs/inventory.md`: `python -m bedplate.compute.inventory.support docs/inventory.md` makes it anew."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bedplate.compute.inventory.base import Vendor
from bedplate.compute.inventory.registry import VENDORS
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.errors import ConfigurationError
from bedplate.core.files import write_file

BEGIN, END = "<!-- support table: begin -->", "<!-- support table: end -->"


def support_table(vendors: Sequence[Vendor] = VENDORS) -> str:
    """Two Markdown tables: how far each vendor is supported, and what of each tool is read. Emulated devices are in neither."""
    vendors = [vendor for vendor in vendors if vendor.title]
    levels = [
        "| devices | named | level | library | tools | made visible by | ids for containers |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_level_row(vendor) for vendor in vendors),
    ]
    commands = [
        "| `--tool` | devices | commands whose outputs are read | run on this machine |",
        "| --- | --- | --- | --- |",
        *(row for vendor in vendors for reader in vendor.readers for row in _command_rows(vendor, reader)),
    ]
    return "\n".join([*levels, "", *commands])


def _level_row(vendor: Vendor) -> str:
    tools = ", ".join(f"`{reader.tool}`" for reader in vendor.readers) or "files of the kernel"
    ids = f"`{vendor.cdi_kind}=…`" if vendor.cdi_kind else ""
    cells = (
        vendor.title,
        f"`{vendor.device_prefix}:N`",
        f"**{vendor.support.value}**",
        f"`{vendor.library}`" if vendor.library else "",
        tools,
        f"`{vendor.visibility_variable}`" if vendor.visibility_variable else "",
        ids,
    )
    return _row(cells)


def _command_rows(vendor: Vendor, reader: ToolReader) -> Iterator[str]:
    for form in reader.forms:
        yield _row((f"`{reader.tool}`", vendor.title, _command(reader, form), "yes" if form.is_run else "no"))


def _command(reader: ToolReader, form: Form) -> str:
    words = (word if len(word) < 48 else f"{word[:24]}…" for word in form.command)
    command = " ".join((reader.tool, *words)).replace("{device}", "N").replace("|", "\\|")
    return f"`{command}`" + (f" (writes `{form.written_file}`)" if form.written_file else "")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def with_support_table(page: str) -> str:
    """A page with the table between its marks made anew.

    Raises:
        ConfigurationError: The page has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigurationError("the page has no place for the support table", expected=f"{BEGIN} … {END}")
    return f"{before}{BEGIN}\n{support_table()}\n{END}{after}"


if __name__ == "__main__":
    page_file = Path(sys.argv[1])
    write_file(page_file, with_support_table(page_file.read_text()))
