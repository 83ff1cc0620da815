"""The reference of pipeline files, made from the settings classes: `make reference` writes it, a test holds it current."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bedplate.app.pipeline.contract.step import Needs
from bedplate.app.pipeline.contract.use_case import load_use_case
from bedplate.app.pipeline.file.schema import pipeline_schema
from bedplate.app.uses import USES
from bedplate.core.settings import Kind, SettingField, setting_fields

_HEADER = """# Keys of pipeline files

Made from the settings classes by `make reference`; [pipeline.schema.json](pipeline.schema.json) is the same for editors
(first line of a file: `# yaml-language-server: $schema=docs/reference/pipeline.schema.json`). How files work together:
[pipelines.md](../pipelines.md).
"""


def pipeline_reference() -> str:
    """The page about `needs` and the keys of every step."""
    parts = [_HEADER, "## needs\n\nWhat the jobs of the file need.\n", _table(Needs)]
    for use in USES:
        case = load_use_case(use)
        parts += [f"## {use}\n\n{case.explanation}\n", _table(case.settings)]
    return "\n".join(parts)


def schema_text() -> str:
    """The file `pipeline.schema.json`."""
    return json.dumps(pipeline_schema(), indent=1, ensure_ascii=False) + "\n"


def _table(settings: type) -> str:
    rows = [f"| `{key}` | {_type(field)} | {_default(field)} | {_text(field)} |" for key, field in _fields(settings, "")]
    return "\n".join(["| key | value | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


def _fields(settings: type, prefix: str) -> Iterator[tuple[str, SettingField]]:
    for key, field in setting_fields(settings).items():
        if field.value_type.kind is Kind.SETTINGS:
            yield from _fields(field.value_type.cls, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", field


def _type(field: SettingField) -> str:
    return str(field.value_type).replace("|", "\\|")


def _default(field: SettingField) -> str:
    if field.is_required:
        return "required"
    return f"`{field.default_text}`" if field.default_text is not None else ""


def _text(field: SettingField) -> str:
    return " ".join(field.text.split()).replace("|", "\\|")
