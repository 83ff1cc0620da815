"""One error tree, with stable codes and words for the person at the terminal."""

import pytest

from bedplate.core import errors
from bedplate.core.errors import BedplateError, ConfigurationError, IntegrityError, ResourcesError, nearest

TREE = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BedplateError)]


def test_every_error_has_a_code_of_its_own() -> None:
    assert len({error.code for error in TREE}) == len(TREE)


def test_the_drawing_shows_every_error_with_its_exit_code() -> None:
    drawing = (errors.__doc__ or "").splitlines()
    for error in TREE:
        (line,) = [line for line in drawing if error.__name__ in line.split() or f"─ {error.__name__}" in line]
        if "exit" in line:
            assert f"exit {error.exit_code}" in line


def test_exit_codes_are_those_of_the_command_line() -> None:
    assert {error.exit_code for error in TREE} == {1, 2, 3, 4, 5}


def test_an_error_says_what_was_seen_expected_and_what_to_do() -> None:
    error = BedplateError("the port is taken", seen=8000, expected="a free port", next_step="try --port 0")
    assert str(error) == "the port is taken; seen: 8000; expected: a free port; next: try --port 0"
    assert error.as_json() == {
        "code": "BP100",
        "error": "the port is taken",
        "seen": "8000",
        "expected": "a free port",
        "next": "try --port 0",
    }


def test_what_is_not_known_is_not_said() -> None:
    assert str(BedplateError("it broke")) == "it broke"
    assert BedplateError("none seen", seen=0).seen == "0"


def test_a_configuration_error_points_at_its_line() -> None:
    assert str(ConfigurationError("unknown key 'presicion'", where="job.yaml:7")) == "job.yaml:7: unknown key 'presicion'"


def test_a_refined_error_is_caught_as_its_kind() -> None:
    with pytest.raises(errors.UnavailableError):
        raise ResourcesError("too large")
    with pytest.raises(errors.CheckFailedError):
        raise IntegrityError("torn")


def test_the_nearest_word_is_found_or_none() -> None:
    assert nearest("presicion", ["precision", "model"]) == "precision"
    assert nearest("zzz", ["precision", "model"]) is None
    assert nearest("x", []) is None
