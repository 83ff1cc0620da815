"""Tables of text with a header, read so that every error names `FILE:LINE: column='value'`.

Rows are lists of cells, not dictionaries: a trace has millions of them. Files that end in `.gz` are read as they are.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TypeVar, cast

from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError, did_you_mean

NO_VALUE = frozenset(("", "none", "null", "unknown", "n/a", "nan"))
"""What the formats write where there is no value, in small letters."""

Value = TypeVar("Value")
Default = TypeVar("Default")


@contextmanager
def open_trace(file: Path) -> Iterator[IO[str]]:
    """The file as text, unpacked where it is `.gz`.

    Raises:
        NotFoundError: No such file.
        ConfigurationError: It cannot be read, or is no text in UTF-8.
    """
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as packed:
            yield io.TextIOWrapper(cast("IO[bytes]", packed), encoding="utf-8-sig", newline="")
    except FileNotFoundError as error:
        raise NotFoundError("there is no such file", seen=file, next_step="check the path") from error
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError("the trace cannot be read", seen=f"{file}: {error}", expected="text in UTF-8") from error


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    table: Table
    line: int
    cells: Sequence[str]

    @property
    def place(self) -> str:
        """`FILE:LINE`."""
        return f"{self.table.file}:{self.line}"

    def has(self, column: str) -> bool:
        """Whether the column is there, and says something."""
        at = self.table.index.get(column)
        return at is not None and self.cells[at].strip().lower() not in NO_VALUE

    def text(self, column: str, default: str = "") -> str:
        """The cell, without spaces around it; `default` where it is empty or the table lacks the column."""
        at = self.table.index.get(column)
        return (self.cells[at].strip() if at is not None else "") or default

    def whole(self, column: str, default: int | None = None) -> int:
        """A whole number, 0 or more; `default` where there is no value."""
        text = self.text(column)
        if text.isascii() and text.isdigit():
            return int(text)
        if default is not None and text.lower() in NO_VALUE:
            return default
        raise self.error(column, "a value is no whole number", "0 or more")

    def number(self, column: str, default: float | None = None) -> float:
        """A finite number of either sign; `default` where there is no value."""
        text = self.text(column)
        if default is not None and text.lower() in NO_VALUE:
            return default
        try:
            number = float(text)
        except ValueError:
            raise self.error(column, "a value is no number", "a number") from None
        if not math.isfinite(number):
            raise self.error(column, "a value is no number", "a finite number")
        return number

    def moment(self, column: str) -> float | None:
        """A time in seconds: `2020-06-09 18:41:01` (since the epoch, UTC unless it names a zone) or a number; None for none."""
        text = self.text(column)
        if text.lower() in NO_VALUE:
            return None
        try:
            return moment_s(text)
        except ValueError:
            raise self.error(column, "a value is no time", "2020-06-09 18:41:01, or seconds") from None

    def read(self, column: str, parse: Callable[[str], Value], default: Default) -> Value | Default:
        """What `parse` makes of the cell, `default` where there is no value."""
        text = self.text(column)
        if text.lower() in NO_VALUE:
            return default
        try:
            return parse(text)
        except UsageError as error:
            raise self.error(column, error.what, error.expected) from error

    def error(self, column: str, what: str, expected: object) -> ConfigurationError:
        """What is wrong with one cell."""
        return ConfigurationError(what, seen=f"{self.place}: {column}={self.text(column)!r}", expected=expected)


class Table:
    """The rows of one file, whose header has all `required` columns."""

    def __init__(self, file: Path, header: Sequence[str]) -> None:
        self.file = file
        self.num_columns = len(header)
        self.index = {name.strip(): at for at, name in enumerate(header)}

    @classmethod
    def rows(
        cls, file: Path, required: Iterable[str], *, optional: Iterable[str] | None = None, delimiter: str = ","
    ) -> Iterator[Row]:
        """Every row that is not blank.

        Args:
            file: Text, or text in gzip.
            required: Columns that must be there.
            optional: Columns that may be there; any may if None.
            delimiter: Between cells; quotes are taken literally unless it is a comma.

        Raises:
            NotFoundError: No such file.
            ConfigurationError: Not readable, a column is missing, twice or unknown, or a row is cut short; with its line.
        """
        with open_trace(file) as stream:
            is_csv = delimiter == ","
            reader = csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if is_csv else csv.QUOTE_NONE)
            table = cls(file, next(reader, []))
            table._check_header(tuple(required), optional)
            width = table.num_columns
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != width:
                    raise ConfigurationError(
                        "a row is cut short" if len(cells) < width else "a row is too long",
                        seen=f"{file}:{reader.line_num}: {len(cells)} cells",
                        expected=f"{width}: {', '.join(table.index)}",
                    )
                yield Row(table, reader.line_num, cells)

    def _check_header(self, required: tuple[str, ...], optional: Iterable[str] | None) -> None:
        names = list(self.index)
        if self.num_columns > len(names):
            raise ConfigurationError(
                "a column is there twice", seen=f"{self.file}:1: {', '.join(names)}", expected="columns of different names"
            )
        if missing := [column for column in required if column not in self.index]:
            raise ConfigurationError(
                "the trace lacks columns",
                seen=f"{self.file}:1: {', '.join(names) or 'nothing'}",
                expected=f"{', '.join(required)}; missing: {', '.join(missing)}",
            )
        if optional is not None:
            known = (*required, *optional)
            for name in names:
                if name not in known:
                    raise ConfigurationError(
                        f"unknown column '{name}'",
                        seen=f"{self.file}:1: {name}",
                        expected=", ".join(known),
                        next_step=did_you_mean(name, known),
                    )


def moment_s(text: str) -> float:
    """`2020-06-09 18:41:01`, with a T or a zone if you like, or a number -> seconds.

    Raises:
        ValueError: It is neither.
    """
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def check_unique(names: Sequence[str], file: Path) -> None:
    """Raise ConfigurationError where a file has no row, or a name twice."""
    if not names:
        raise ConfigurationError("the trace is empty", seen=file, expected="one row or more")
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ConfigurationError("a name is there twice", seen=f"{file}: {twice}", expected="names of their own")
