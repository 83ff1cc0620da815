"""A value in a JSON document, narrowed where a test reads it: a wrong type fails with the path that led there."""

from collections.abc import Mapping

from bedplate.core.json import Json, JsonObject


def value_at(document: Json, *path: str | int) -> Json:
    """What lies at a path of keys and positions."""
    value = document
    for key in path:
        if isinstance(key, int):
            assert isinstance(value, list | tuple), f"no list holds {key} of {path}: {value!r}"
            value = value[key]
        else:
            assert isinstance(value, Mapping), f"no object holds '{key}' of {path}: {value!r}"
            value = value[key]
    return value


def number_at(document: Json, *path: str | int) -> float:
    value = value_at(document, *path)
    assert isinstance(value, int | float) and not isinstance(value, bool), f"no number at {path}: {value!r}"
    return value


def integer_at(document: Json, *path: str | int) -> int:
    value = value_at(document, *path)
    assert isinstance(value, int) and not isinstance(value, bool), f"no integer at {path}: {value!r}"
    return value


def text_at(document: Json, *path: str | int) -> str:
    value = value_at(document, *path)
    assert isinstance(value, str), f"no text at {path}: {value!r}"
    return value


def list_at(document: Json, *path: str | int) -> list[Json]:
    value = value_at(document, *path)
    assert isinstance(value, list | tuple), f"no list at {path}: {value!r}"
    return list(value)


def object_at(document: Json, *path: str | int) -> JsonObject:
    value = value_at(document, *path)
    assert isinstance(value, Mapping), f"no object at {path}: {value!r}"
    return value
