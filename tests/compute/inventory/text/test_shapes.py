"""The shapes of texts: quantities, keyed blocks, matrices and almost-JSON."""

import json

import pytest

from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.compute.inventory.text.documents import read_json
from bedplate.compute.inventory.text.keyed import Entry, entries
from bedplate.compute.inventory.text.matrix import read_matrix
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, size_bytes
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.errors import ConfigurationError


def output(text: str) -> ToolOutput:
    return ToolOutput(text=text, source="saved.txt")


NOTHING = output("")


@pytest.mark.parametrize(
    ("text", "bare", "expected"),
    [
        ("81559 MiB", "B", 81559 * 2**20),
        ("196592 MB", "B", 196592 * 2**20),
        ("48GiB", "B", 48 * 2**30),
        ("64 GB", "B", 64 * 2**30),
        ("67108864 KB", "B", 2**36),
        ("0MiB", "B", 0),
        ("1024", "MiB", 2**30),
        (25753026560, "B", 25753026560),
        ("[N/A]", "MiB", None),
        ("-", "MiB", None),
        (None, "MiB", None),
    ],
)
def test_sizes_are_bytes_whatever_the_unit(text: object, bare: str, expected: int | None) -> None:
    assert size_bytes(text, NOTHING, None, "memory", bare) == expected


@pytest.mark.parametrize("text", ["12 furlongs", "many", "1,024 MiB", "-3 MiB", "3 W"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"saved\.txt:7: not a size of memory: memory"):
        size_bytes(text, NOTHING, 7, "memory")


@pytest.mark.parametrize("word", ["N/A", "[Not Supported]", "NA", "-", "", "None", "unknown", "[Unknown Error]", None])
def test_words_for_nothing_are_absent_and_never_zero(word: str | None) -> None:
    assert is_nothing(word)
    assert number(word, NOTHING, None, "power", ("W",)) is None
    assert fraction(word, NOTHING, None, "use") is None


def test_numbers_may_touch_their_unit() -> None:
    assert number("96.66W", NOTHING, None, "power", ("W",)) == 96.66
    assert number("41.0C", NOTHING, None, "temperature", ("C",)) == 41
    assert fraction("64.0%", NOTHING, None, "use") == 0.64
    with pytest.raises(ConfigurationError, match="not a number: power"):
        number("96 C", NOTHING, 1, "power", ("W",))


@pytest.mark.parametrize(
    ("text", "bus"),
    [("00000000:C1:00.0", "0000:c1:00.0"), ("0001:01:00.0 Off", "0001:01:00.0"), ("NA", ""), ("1000:01:00.0", "1000:01:00.0")],
)
def test_bus_ids_are_written_as_the_kernel_does(text: str, bus: str) -> None:
    assert pci_bus_id(text) == bus


def test_keys_stand_under_their_headings() -> None:
    text = "XPU 00000000:01:00.0\n    Memory Usage\n        Total : 98304 MiB\n    Utilization\n        Xpu : 7 %\nNext : 1\n"
    found = list(entries(output(text).lines))
    assert found == [
        Entry(path=("XPU 00000000:01:00.0", "Memory Usage", "Total"), value="98304 MiB", line=3),
        Entry(path=("XPU 00000000:01:00.0", "Utilization", "Xpu"), value="7 %", line=5),
        Entry(path=("Next",), value="1", line=6),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "1" "b": 2}',
        '{"a": "1""b": 2}',
        '{"a": "1", "b": 2}',
        'WARNING: not in group render\n{"a": "1" "b": 2}',
    ],
)
def test_forgotten_commas_are_forgiven(text: str) -> None:
    assert read_json(output(text), is_lenient=True) == {"a": "1", "b": 2}


def test_repair_leaves_good_json_as_it_is() -> None:
    document = {"a": ["x, y", {"b": "c \\ d"}], "e": None, "f": [True, 1.5, -2]}
    assert read_json(output(json.dumps(document)), is_lenient=True) == document
    broken = json.dumps(document).replace('], "e"', '] "e"')
    assert read_json(output(broken), is_lenient=True) == document


def test_json_that_is_cut_off_names_the_line_of_the_whole_output() -> None:
    with pytest.raises(ConfigurationError, match=r"saved\.txt:3: the JSON ends too early"):
        read_json(output('warning\n{"a":\n  [1,'))


@pytest.mark.parametrize("separator", ["\t", "   "])
def test_a_matrix_is_read_with_tabs_and_with_blanks(separator: str) -> None:
    header = ("", "GPU0", "GPU1", "NIC0", "CPU Affinity")
    rows = (header, ("GPU0", "X", "NV4", "PIX", "0-1"), ("GPU1", "NV4", "X", "SYS", "2-3"))
    text = "\n".join(separator.join(row) for row in rows)
    first, second = read_matrix(output(text), lambda name: name.startswith("GPU"))
    assert (first.words, first.cores) == ({"GPU1": "NV4"}, (0, 1))
    assert (second.words, second.cores, second.numa_node) == ({"GPU0": "NV4"}, (2, 3), None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  GPU0  GPU1\nGPU0  X  SYS\n", r"saved\.txt:2: the matrix ends before the row of GPU1"),
        ("  GPU0  GPU1\nGPU0  X\n", r"saved\.txt:2: the row of GPU0 is cut off"),
        ("  GPU0  CPU Affinity\nGPU0  X  zero\n", r"saved\.txt:2: not a list of cores"),
        ("nothing\n", "there is no topology matrix"),
    ],
)
def test_a_matrix_that_is_cut_off_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_matrix(output(text), lambda name: name.startswith("GPU"))
