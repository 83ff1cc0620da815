"""The support table is what the records say."""

from pathlib import Path

import pytest

from bedplate.compute.inventory import VENDORS, SupportLevel
from bedplate.compute.inventory.support import BEGIN, END, support_table, with_support_table
from bedplate.core.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[3]
HARDWARE = [vendor for vendor in VENDORS if vendor.name != "emulated"]
PAGE = REPOSITORY / "docs" / "inventory.md"


def test_the_page_has_the_table_that_the_records_give() -> None:
    """Not so? `make reference` makes it anew."""
    page = PAGE.read_text()
    assert with_support_table(page) == page


def test_every_vendor_and_every_tool_is_in_it() -> None:
    table = support_table()
    for vendor in HARDWARE:
        assert f"| {vendor.title} | `{vendor.device_prefix}:N` | **{vendor.support.value}** |" in table
        for reader in vendor.readers:
            assert f"| `{reader.tool}` | {vendor.title} |" in table
    assert "mulated" not in table


def test_what_is_called_measured_has_results() -> None:
    """A level above `parsed` needs evidence in docs/results; for CPUs every result there is some."""
    results = "\n".join(file.read_text() for file in (REPOSITORY / "docs" / "results").glob("*.md"))
    for vendor in HARDWARE:
        if vendor.support is not SupportLevel.PARSED:
            assert vendor.title.split()[0].rstrip(":s") in results


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no place for the support table"):
        with_support_table(f"{BEGIN} only")
    assert with_support_table(f"a {BEGIN} old {END} b").startswith(f"a {BEGIN}\n| devices |")


def test_records_do_not_contradict_each_other() -> None:
    accelerators = [vendor for vendor in HARDWARE if vendor.name != "cpu"]
    assert len({vendor.device_prefix for vendor in VENDORS}) == len(VENDORS)
    for vendor in accelerators:
        assert vendor.title and vendor.visibility_variable and (vendor.readers or vendor.reads_files_only), vendor.name
        assert {reader.tool for reader in vendor.readers} == set(vendor.tools)
        for reader in vendor.readers:
            assert len({form.name for form in reader.forms}) == len(reader.forms)
            assert any(form.is_run for form in reader.forms)
        for code, known in vendor.health_codes.items():
            assert code and known.meaning and known.next_step
