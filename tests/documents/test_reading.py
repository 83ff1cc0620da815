"""A pipeline file is read as plain JSON, and what cannot be meant is refused with its line."""

from pathlib import Path

import pytest

from bedplate.core.errors import ConfigurationError, NotFoundError, UnavailableError
from bedplate.documents.reading import read_document

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)


def write(folder: Path, text: str) -> Path:
    file = folder / "file.yaml"
    file.write_text(text)
    return file


def test_values_are_plain_json_and_every_key_has_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, "a: 1\nb:\n  - x\n  - {c: 2.5, d: null}\ne: on\n")
    document = read_document(file)
    assert document.value == {"a": 1, "b": ["x", {"c": 2.5, "d": None}], "e": "on"}
    assert document.source.where(("b", 1, "d")) == f"{file}:4"
    assert document.source.where(("e", "unknown")) == f"{file}:5"


def test_keys_are_text_also_where_yaml_would_read_a_boolean(tmp_path: Path) -> None:
    assert read_document(write(tmp_path, "on: 1\n1: 2\n")).value == {"on": 1, "1": 2}


def test_anchors_may_be_used(tmp_path: Path) -> None:
    assert read_document(write(tmp_path, "a: &x [1]\nb: *x\n")).value == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice"),
        ("a:\n  b: 1\n  b: 1\n", 3, "'b' is given twice"),
        ("a: [1\nb: 2\n", 2, "not YAML"),
        ("a: 1\n  b: 2\n", 2, "not YAML"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge keys ('<<') are not supported"),
        ("? [1, 2]\n: 3\n", 1, "a key must be plain text"),
        ("a: !!python/object/apply:os.system ['true']\nb: !thing 1\n", 2, "YAML tags are not supported"),
        ("a: 1\nb: .nan\n", 2, "finite"),
        ("a: .inf\n", 1, "finite"),
        ("- a\n- b\n", 1, "must be a mapping"),
        ("", 1, "must be a mapping"),
        ("a: 1\nb: 0100\n", 2, "must not begin with 0"),
        ("a: 1e999\n", 1, "finite"),
        (f"a: {'9' * 5000}\n", 1, "too long"),
        (BOMB, 5, "too many values"),
        ("a: &a [*a]\n", 1, "nested too deep"),
        ("a: *nowhere\n", 1, "undefined alias"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as raised:
        read_document(file)
    assert words in str(raised.value)
    assert raised.value.where == f"{file}:{line}"


def test_all_that_cannot_be_meant_is_told_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, "a: 0100\nb: {c: .inf, d: &x 007}\na: 2\ne: *x\n? [1]\n: 2\n")
    with pytest.raises(ConfigurationError, match=r"file\.yaml: 5 mistakes") as raised:
        read_document(file)
    assert [(mistake.where or "").rpartition(":")[2] for mistake in raised.value.mistakes] == ["1", "2", "2", "3", "5"]


def test_a_file_nested_without_end_is_refused_and_does_not_overflow(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        read_document(write(tmp_path, "a: " + "[" * 20_000))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="too large"):
        read_document(write(tmp_path, "#" * (1 << 20) + "\na: 1\n"))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "binary.yaml"
    file.write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_document(file)


def test_a_missing_file_is_not_found_and_its_neighbours_are_named(tmp_path: Path) -> None:
    write(tmp_path, "a: 1\n")
    with pytest.raises(NotFoundError) as raised:
        read_document(tmp_path / "fil.yaml")
    assert "file.yaml" in str(raised.value.next_step)


def test_a_folder_in_place_of_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be read"):
        read_document(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(file).value == {"a": 1}


def test_json_is_read_too(tmp_path: Path) -> None:
    assert read_document(write(tmp_path, '{"a": [1.5, true, null, "x"], "b": 1e-4}')).value == {
        "a": [1.5, True, None, "x"],
        "b": 1e-4,
    }
