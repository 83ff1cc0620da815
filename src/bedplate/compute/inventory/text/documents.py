"""JSON as tools print it: after a warning, with a comma forgotten, with a unit behind a number.

`hy-smi --json` of some releases forgets commas between pairs and prints bare words such as `41.0C`; `amd-smi` prints warnings
before the document. Source of both: public issue reports and tests of exporters that met them.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any

from bedplate.compute.inventory.tools.output import ToolOutput

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+')
_START = re.compile(r"^\s*[{\[]", re.MULTILINE)


def json_text(text: str) -> str:
    """The text from where its JSON begins: the first line that starts with a brace or a bracket; empty where there is none."""
    match = _START.search(text)
    return "" if match is None else text[match.start() :].strip()


def read_json(output: ToolOutput, *, is_lenient: bool = False) -> Any:
    """The document in a tool's output.

    Args:
        output: What was printed; warnings before the document are skipped.
        is_lenient: Whether forgotten commas and bare words are forgiven.

    Raises:
        ConfigurationError: It is no JSON, or is cut off; with its line.
    """
    text = json_text(output.text)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        problem = error
    if is_lenient:
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(_repaired(text))
    first_line = output.text[: output.text.find(text)].count("\n")
    is_cut_off = problem.pos >= len(text.rstrip()) - 1
    what = "the JSON ends too early: the output is cut off" if is_cut_off else f"not JSON: {problem.msg}"
    raise output.refusal(what, first_line + problem.lineno, seen=repr(text[max(0, problem.pos - 30) : problem.pos + 10]))


def _repaired(text: str) -> str:
    """With a comma wherever a value is followed by a key, and with bare words in quotes."""
    out: list[str] = []
    for piece in _PIECE.findall(text):
        is_mark = len(piece) == 1 and piece in "{}[],:"
        if not is_mark and not piece.startswith('"') and not _is_json_word(piece):
            piece = json.dumps(piece)
        if out and out[-1] not in ("{", "[", ",", ":") and (not is_mark or piece in "{["):
            out.append(",")
        out.append(piece)
    return "".join(out)


def _is_json_word(piece: str) -> bool:
    try:
        json.loads(piece)
    except json.JSONDecodeError:
        return False
    return True


def at(document: Any, *path: str) -> Any:
    """What is at a path of keys, None where a key is missing or something on the way is no object."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def quantity_text(value: Any) -> Any:
    """amd-smi's `{"value": 196592, "unit": "MB"}` -> `196592 MB`; anything else as it is."""
    if isinstance(value, Mapping):
        return None if value.get("value") is None else f"{value['value']} {value.get('unit') or ''}".strip()
    return value
