"""Outputs of tools that were saved: recognised by their text, refused by name, and never a surprise."""

import random

import pytest

from bedplate.compute.inventory import VENDORS
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.compute.inventory.tools.saved import known_tools, read_saved
from bedplate.core.errors import BedplateError, ConfigurationError, UsageError
from tests.compute.inventory.saved_outputs import all_fixtures, output_of, saved

OWN_FOLDERS = {"xpu-smi-kunlunxin": ("xpu-smi", "kunlunxin"), "xpu-smi-intel": ("xpu-smi", "intel")}


def printers(text: str) -> set[tuple[str, str]]:
    """Tool and vendor of every reader that is sure of a text."""
    return {(reader.tool, vendor.name) for vendor in VENDORS for reader in vendor.readers if reader.is_surely_of(text)}


@pytest.mark.parametrize("name", all_fixtures())
def test_every_output_is_recognised_as_that_of_its_own_tool(name: str) -> None:
    folder = name.split("/")[0]
    tool, *vendor = OWN_FOLDERS.get(folder, (folder,))
    found = printers(output_of(name).text)
    assert tool in {own for own, _ in found}
    assert len({other for _, other in found}) == 1
    assert vendor in ([], [other for _, other in found][:1])


@pytest.mark.parametrize("name", all_fixtures())
def test_damaged_outputs_are_refused_or_read_and_never_crash_a_reader(name: str) -> None:
    """Cut off anywhere, or with one character replaced: an error that says where, or devices; nothing else."""
    text, chance = output_of(name).text, random.Random(name)
    for _ in range(60):
        at = chance.randrange(1, len(text))
        for damaged in (text[:at], text[:at] + chance.choice('0aZ|:{}", \n-') + text[at + 1 :]):
            try:
                read_saved([ToolOutput(text=damaged, source="damaged.txt")])
            except BedplateError as error:
                assert "damaged.txt" in str(error)


def test_an_unknown_tool_is_refused_with_the_nearest_and_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown tool 'npusmi'") as refused:
        saved("npu-smi/info-910b.txt", tool="npusmi")
    assert refused.value.next_step == "did you mean 'npu-smi'?"
    assert "mthreads-gmi" in (refused.value.expected or "")


@pytest.mark.parametrize(
    ("name", "tool", "looks_like"),
    [
        ("npu-smi/info-910b.txt", "nvidia-smi", "npu-smi"),
        ("nvidia-smi/query.csv", "npu-smi", "nvidia-smi"),
        ("hy-smi/cards.json", "rocm-smi", "hy-smi"),
        ("nvidia-smi/topo.txt", "xpu-smi", "nvidia-smi"),
        ("amd-smi/static.json", "mthreads-gmi", "amd-smi"),
    ],
)
def test_the_output_of_another_tool_is_refused_by_name(name: str, tool: str, looks_like: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is not an output of {tool}") as refused:
        saved(name, tool=tool)
    assert refused.value.seen == f"it looks like one of {looks_like}"
    assert refused.value.next_step == f"--tool {looks_like}"


@pytest.mark.parametrize(
    ("name", "vendor"), [("xpu-smi-kunlunxin/query.txt", "kunlunxin"), ("xpu-smi-intel/discovery-0.json", "intel")]
)
def test_two_vendors_tools_of_one_name_are_told_apart_by_what_they_print(name: str, vendor: str) -> None:
    assert {device.vendor for device in saved(name, tool="xpu-smi")} == {vendor}


def test_a_text_that_tells_itself_apart_needs_no_tool() -> None:
    assert saved("ixsmi/query.csv")[0].vendor == "iluvatar"
    assert saved("nvidia-smi/query.csv")[0].vendor == "nvidia"


def test_outputs_of_two_tools_do_not_join() -> None:
    with pytest.raises(UsageError, match="not of one tool") as refused:
        saved("npu-smi/info-910b.txt", "nvidia-smi/topo.txt")
    assert "nvidia-smi/topo.txt: nvidia-smi" in (refused.value.seen or "")


def test_what_no_tool_prints_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no known tool prints what is in notes\.txt"):
        read_saved([ToolOutput(text="two H100, one of them hot\n", source="notes.txt")])


@pytest.mark.parametrize("text", ["", "  \n\n"])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="the output is empty"):
        read_saved([ToolOutput(text=text, source="empty.txt")], "npu-smi")


def test_the_words_of_a_broken_tool_are_not_devices() -> None:
    for words in (
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        "dcmi module initialize failed. ret is -8005",
    ):
        with pytest.raises(UsageError, match="no known tool"):
            read_saved([ToolOutput(text=words, source="broken.txt")])


def test_every_tool_that_is_looked_for_is_understood() -> None:
    assert set(known_tools()) == {tool for vendor in VENDORS for tool in vendor.tools}
