"""A real PostgreSQL server for tests: Debian's package, a data directory of its own, a free loopback port."""

import contextlib
import ctypes
import functools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "bedplate"
START_DEADLINE_S = 60.0
_PR_SET_PDEATHSIG = 1


def missing() -> str | None:
    """What is not there for a server to be started, by name; None where all is."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg (pip install 'bedplate[postgres]')"
    if _programs() is None:
        return "initdb and postgres (apt-get install postgresql)"
    if os.getuid() == 0 and _other_user() is None:
        return "a user that is not root: PostgreSQL refuses to run as root"
    return None


@contextmanager
def running_server() -> Iterator[int]:
    """A server that trusts every connection from this machine as user `bedplate`; gives its port."""
    programs, user = _programs(), _other_user() if os.getuid() == 0 else None
    assert programs is not None
    # not below pytest's folder: that one is closed to the user that the server runs as
    folder = Path(tempfile.mkdtemp(prefix="bedplate-postgres-"))
    uid, gid = (None, None) if user is None else (user.pw_uid, user.pw_gid)
    groups: list[str | int] | None = None if user is None else []
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        words: list[str | Path] = [
            programs / "initdb",
            "-D",
            folder / "data",
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        subprocess.run(words, cwd=folder, check=True, capture_output=True, user=uid, group=gid, extra_groups=groups)
        port = _free_port()
        words = [programs / "postgres", "-D", folder / "data", "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
        words += ["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=60"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                words,
                cwd=folder,
                stderr=log,
                stdout=log,
                preexec_fn=_die_with_parent,
                user=uid,
                group=gid,
                extra_groups=groups,
            )
        try:
            _wait_until_ready(server, port, folder / "log")
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                server.send_signal(signal.SIGQUIT)
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_database(port: int, name: str) -> str:
    """An empty database, made anew; its URL for `--state`."""
    import psycopg

    with psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"postgresql://{USER}@127.0.0.1:{port}/{name}"


@functools.cache
def _programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(re.sub(r"\D", "", str(path))))
    return next((path for path in folders if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _other_user() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _wait_until_ready(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    import psycopg

    deadline_s = time.monotonic() + START_DEADLINE_S
    while True:
        assert server.poll() is None, log.read_text()
        try:
            psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.05)
        else:
            return
