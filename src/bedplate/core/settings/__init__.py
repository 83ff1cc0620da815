"""Settings: each component owns a dataclass, and everything that people see of it is made from that one class.

    @settings
    class TrainSettings:
        tokens: Annotated[Count, Range(1)] = 40_000
        \"\"\"Training tokens.\"\"\"

The YAML keys (`read_settings`), the checks at construction in Python (`@settings`), the command line (the verbs make their
options from `setting_fields`), the JSON schema (`json_schema`) and the reference pages come from the fields. Field types are
plain (`int`, `str | None`, `tuple[str, ...]`, an enum, another settings class) or a quantity of `core.units`; marks in
`Annotated` add a range or say that a text names a file; the text under a field is its documentation.

Why not a library: errors must carry the line in the file and the nearest right key, `core` is standard library only, and
`import bedplate` must stay light.
"""

from bedplate.core.settings.declaring import settings as settings
from bedplate.core.settings.fields import SettingField as SettingField
from bedplate.core.settings.fields import identifying as identifying
from bedplate.core.settings.fields import setting_fields as setting_fields
from bedplate.core.settings.fields import type_at as type_at
from bedplate.core.settings.fields import written_settings as written_settings
from bedplate.core.settings.marks import Input as Input
from bedplate.core.settings.marks import InputFile as InputFile
from bedplate.core.settings.marks import Operational as Operational
from bedplate.core.settings.marks import Range as Range
from bedplate.core.settings.marks import looks_like_path as looks_like_path
from bedplate.core.settings.mistakes import Mistakes as Mistakes
from bedplate.core.settings.mistakes import about_setting as about_setting
from bedplate.core.settings.reading import read_settings as read_settings
from bedplate.core.settings.reading import read_value as read_value
from bedplate.core.settings.schema import json_schema as json_schema
from bedplate.core.settings.source import KeyPath as KeyPath
from bedplate.core.settings.source import Place as Place
from bedplate.core.settings.source import Source as Source
from bedplate.core.settings.source import unknown_key as unknown_key
from bedplate.core.settings.types import Kind as Kind
from bedplate.core.settings.types import SettingType as SettingType
