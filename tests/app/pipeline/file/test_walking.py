"""The one recursion over what a step says."""

from bedplate.app.pipeline.file.walking import changed, walk
from bedplate.core.json import Json

VALUE: Json = {"a": [1, {"b": "x"}], "c": None, "d": {}, "e": []}


def test_leaves_come_in_order_with_the_path_that_leads_to_them() -> None:
    assert list(walk(VALUE, ("top",))) == [(("top", "a", 0), 1), (("top", "a", 1, "b"), "x"), (("top", "c"), None)]


def test_a_change_keeps_the_shape() -> None:
    assert changed(VALUE, lambda path, leaf: f"{path[-1]}={leaf}") == {
        "a": ["0=1", {"b": "b=x"}],
        "c": "c=None",
        "d": {},
        "e": [],
    }
