"""Everything that is wrong with what a person wrote, told at once: parts are judged one by one, and one error carries all.

mistakes = Mistakes()
for key in keys:
    with mistakes.collected():
        read[key] = read_value(…)
mistakes.raise_all()
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from bedplate.core.errors import BedplateError, ConfigurationError, MistakesError


class Mistakes:
    """What was found so far."""

    def __init__(self) -> None:
        self.found: list[ConfigurationError] = []

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the `ConfigurationError` that ends the block, and continue after it."""
        try:
            yield
        except ConfigurationError as error:
            self.found += error.mistakes

    def raise_all(self) -> None:
        """Raise what was found.

        Raises:
            ConfigurationError: Something was; `mistakes` of it has everything.
        """
        if self.found:
            raise _as_one(self.found)


@contextlib.contextmanager
def about_setting(*path: str | int) -> Iterator[None]:
    """Say of an error that ends the block which setting is to blame, so that it can be told with the line of its key."""
    try:
        yield
    except BedplateError as error:
        error.setting = path
        raise


def _as_one(found: Iterable[ConfigurationError]) -> ConfigurationError:
    errors = sorted({str(error): error for error in found}.values(), key=_line)  # an alias repeats what it stands for
    if len(errors) == 1:
        return errors[0]
    files = dict.fromkeys(file for error in errors if (file := (error.where or "").rpartition(":")[0]))
    return MistakesError(": ".join(filter(None, (", ".join(files), f"{len(errors)} mistakes"))), mistakes=errors)


def _line(error: ConfigurationError) -> int:
    line = (error.where or "").rpartition(":")[2]
    return int(line) if line.isdecimal() else 0
