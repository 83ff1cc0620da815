"""What `--state` means: a folder, or the URL of a database.

A folder is taken as it is written: `?`, `%` and `#` are characters of its name like any other. A URL is percent-decoded,
as URLs are. Databases are passed on as `sqlalchemy.URL` objects and never as text, so no character changes its meaning.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import sqlalchemy
from sqlalchemy import exc

from bedplate.core.errors import UsageError

_EXPECTED = "a folder, sqlite:////path/state.db, or postgresql://USER@HOST/DATABASE"
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLocation:
    """Where the state is: the database, and the folder with the runs' directories."""

    url: sqlalchemy.URL
    runs_folder: Path

    @property
    def control_folder(self) -> Path:
        """What the service keeps in files: its lock, its address, tokens of this user, folders of its jobs."""
        return self.runs_folder.with_name(self.runs_folder.name.removesuffix("runs") + "control")

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path:
        """The database's file; only where `is_sqlite`."""
        assert self.url.database is not None
        return Path(self.url.database)

    def __str__(self) -> str:
        """For messages: the file, or the URL without its password."""
        return str(self.file) if self.is_sqlite else self.url.render_as_string(hide_password=True)


def read_location(state: str | None, default_folder: Callable[[], Path]) -> StateLocation:
    """The location that `--state` names; `default_folder` gives the one for None.

    The runs' directories are next to an SQLite database. Those of a PostgreSQL database are in a folder of its
    own below the default one, on each machine that runs something.

    Raises:
        UsageError: A URL that is not understood, or of a database that is not supported.
    """
    if state == "":
        raise UsageError("--state is empty", expected=_EXPECTED)
    if state is None or "://" not in state:
        folder = default_folder() if state is None else _folder(state)
        return _sqlite(folder / "state.db")
    scheme, _, rest = state.partition("://")
    if scheme.partition("+")[0] == "sqlite":
        return _sqlite(_sqlite_file(state, rest))
    if scheme in _POSTGRESQL:
        return _postgresql(f"postgresql+psycopg://{rest}", default_folder())
    raise UsageError("not a state URL", seen=f"{scheme}://…", expected=_EXPECTED)


def _folder(state: str) -> Path:
    try:
        return Path(state).expanduser().absolute()
    except RuntimeError as error:  # ~name of a user that does not exist
        raise UsageError("this state folder cannot be resolved", seen=f"{state}: {error}", expected=_EXPECTED) from None


def _sqlite(file: Path) -> StateLocation:
    if "\0" in str(file):
        raise UsageError("a path has no NUL character", seen=repr(str(file)), expected=_EXPECTED)
    url = sqlalchemy.URL.create("sqlite+pysqlite", database=str(file))
    return StateLocation(url=url, runs_folder=_sqlite_runs(file))


def _sqlite_runs(file: Path) -> Path:
    """`runs` for `state.db`, `NAME.runs` for another `NAME.db`: databases in one folder do not share run directories."""
    return file.with_name("runs" if file.name == "state.db" else file.name.removesuffix(".db") + ".runs")


def _sqlite_file(state: str, rest: str) -> Path:
    path = unquote(rest.removeprefix("/"))
    if not rest.startswith("/") or path in ("", ":memory:"):
        raise UsageError("the state must be a file, which several processes can share", seen=state, expected=_EXPECTED)
    if "?" in rest:
        next_step = "write %3F for a question mark in a URL, or name the folder: --state FOLDER"
        raise UsageError("an SQLite state takes no options", seen=state, expected=_EXPECTED, next_step=next_step)
    return Path(path).absolute()


def _postgresql(text: str, default_folder: Path) -> StateLocation:
    try:
        url = sqlalchemy.make_url(text)
    except (exc.ArgumentError, ValueError):
        raise UsageError("not a state URL", seen="postgresql://…", expected=_EXPECTED) from None
    if not url.database:
        raise UsageError("the state URL names no database", seen=url.render_as_string(), expected=_EXPECTED)
    server = f"{url.host or 'local'}:{url.port or 5432}/{url.database}"
    readable = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{url.host or 'local'}-{url.database}")
    digest = hashlib.blake2b(server.encode(), digest_size=4).hexdigest()
    return StateLocation(url=url, runs_folder=default_folder / "postgresql" / f"{readable}-{digest}" / "runs")
