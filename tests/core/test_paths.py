"""State and caches have a place, or one error that says which variable to set."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bedplate.core.paths import cache_home, state_home
from tests.command_line import CommandLine


def test_the_variables_of_the_xdg_rules_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert state_home() == tmp_path / "s" / "bedplate"
    assert cache_home() == tmp_path / ".cache" / "bedplate", "a relative one is ignored"


def test_without_home_the_user_database_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert state_home().is_absolute()


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_a_user_without_any_home_gets_one_clear_error(command_line: CommandLine, home: str | None) -> None:
    user = ("unshare", "--user", "--map-user=54321")
    if not shutil.which("unshare") or subprocess.run([*user, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare, and the right to make a user namespace, are needed")
    words = ("env", "-u", "HOME", "-u", "XDG_STATE_HOME", "-u", "BEDPLATE_STATE", *([] if home is None else [f"HOME={home}"]))
    homeless = command_line.call("ps", prefix=(*user, *words))
    assert homeless.code == 5
    assert "uid 54321" in homeless.err
    assert "set XDG_STATE_HOME" in homeless.err
    assert "Traceback" not in homeless.err
    file = command_line.write("version: 1\nsteps:\n  a: {use: test.write}\n")
    works = command_line.call("run", file, "--state", command_line.folder / "s", prefix=(*user, *words))
    assert works.code == 0, works.err


def test_a_state_folder_of_an_unknown_user_is_a_usage_error(command_line: CommandLine) -> None:
    end = command_line.call("ps", "--state", "~nobody-of-this-name/state")
    assert (end.code, "cannot be resolved" in end.err) == (2, True)
