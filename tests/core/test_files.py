"""What is written is complete or not there, and only what is ours is replaced."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.core.errors import CancelledError, UsageError
from bedplate.core.files import create_file, file_lock, replacing_file, replacing_folder, try_lock, write_file
from bedplate.core.reporter import CallbackReporter


def is_ours(folder: Path) -> bool:
    return (folder / "mark").exists()


def test_a_file_is_replaced_at_once_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_file(target, "old")
    with replacing_file(target) as stream:
        stream.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_a_failure_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_file(target, "old")
    with pytest.raises(ZeroDivisionError), replacing_file(target) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def all_at_once(write: Callable[[int], None], num_writers: int = 8) -> list[Exception]:
    """Errors of as many calls of `write`, each in a thread of its own."""
    start, errors = threading.Barrier(num_writers), list[Exception]()

    def run(number: int) -> None:
        start.wait()
        try:
            write(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(num_writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_a_file_is_created_once_by_the_first_of_many(tmp_path: Path) -> None:
    target, made = tmp_path / "key", list[str]()

    def create(number: int) -> None:
        if create_file(target, f"key {number}", mode=0o600):
            made.append(f"key {number}")

    assert all_at_once(create) == []
    assert made == [target.read_text()]
    assert target.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["key"]


def test_writers_of_one_target_do_not_take_each_other_for_dead(tmp_path: Path) -> None:
    def write_many(number: int) -> None:
        for _ in range(40):
            write_file(tmp_path / "a.json", f"{number}" * 100)

    assert all_at_once(write_many) == []
    assert len(set((tmp_path / "a.json").read_text())) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_an_earlier_result_is_replaced_after_the_block_succeeded(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with replacing_folder(tmp_path / "out", is_ours) as aside:
            (aside / "mark").write_text(content)
    assert (tmp_path / "out" / "mark").read_text() == "second"
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


def test_a_failing_block_keeps_the_earlier_result(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "out", is_ours) as aside:
        (aside / "mark").write_text("good")
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "out", is_ours) as aside:
        (aside / "mark").write_text("bad")
        raise ZeroDivisionError
    assert (tmp_path / "out" / "mark").read_text() == "good"
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_somebody_else_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"not an earlier result; seen: thesis\.tex"), replacing_folder(tmp_path, is_ours):
        pytest.fail("the block must not run")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_files_that_appear_while_the_block_runs_are_not_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError), replacing_folder(out, is_ours) as aside:
        (aside / "mark").write_text("new")
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")
    assert (out / "thesis.tex").read_text() == "years of work"


def test_the_working_directory_a_file_and_a_link_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in (".", "file", "link"):
        with pytest.raises(UsageError), replacing_folder(Path(name), lambda folder: True):
            pytest.fail("the block must not run")


def test_a_lock_waits_says_so_once_and_can_be_cancelled(tmp_path: Path) -> None:
    said: list[str] = []

    def give_up() -> None:
        raise CancelledError("stop")

    with file_lock(tmp_path / "lock"):
        reporter = CallbackReporter(on_say=said.append, on_check=give_up)
        with pytest.raises(CancelledError), file_lock(tmp_path / "lock", reporter, "makes the model"):
            pytest.fail("the lock is taken")
    assert said == ["another process makes the model; waiting for it"]
    with file_lock(tmp_path / "lock"):
        pass


def test_a_killed_holder_gives_its_lock_back(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from bedplate.core.files import file_lock\n"
        "with file_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (tmp_path / "lock").open("a") as stream:
            assert not try_lock(stream.fileno(), tmp_path / "lock")
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
            assert try_lock(stream.fileno(), tmp_path / "lock")


_WRITER = """
import sys, time
from pathlib import Path
from bedplate.core.files import replacing_file, replacing_folder
make = replacing_file if sys.argv[2] == "file" else lambda path: replacing_folder(path, lambda folder: True)
with make(Path(sys.argv[1])):
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_only_the_leftovers_of_dead_writers_are_removed(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "target"), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        (own,) = tmp_path.iterdir()
        if kind == "file":
            write_file(tmp_path / "target", "second writer")
        assert own.exists()
        writer.kill()
        writer.wait()
    if kind == "file":
        write_file(tmp_path / "target", "third writer")
    else:
        with replacing_folder(tmp_path / "target", is_ours) as aside:
            (aside / "mark").write_text("")
    assert [item.name for item in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_kill_at_any_rename_leaves_a_complete_folder(tmp_path: Path, can_exchange: bool) -> None:
    """The process kills itself before its n-th rename, exchange or removal; the next writer finds old or new, complete."""
    for number in range(1, 6):
        out = tmp_path / f"{can_exchange}-{number}"
        with replacing_folder(out, is_ours) as aside:
            (aside / "mark").write_text("old")
        command = [sys.executable, "-c", _DIES, str(out), str(number), str(can_exchange)]
        code = subprocess.run(command, check=False).returncode
        assert code in (0, -signal.SIGKILL)
        with pytest.raises(ZeroDivisionError), replacing_folder(out, is_ours):
            raise ZeroDivisionError  # a writer that fails leaves what it found
        assert (out / "mark").read_text() in ("old", "new")
        assert [item.name for item in tmp_path.glob(f".{out.name}*")] == []


_DIES = """
import os, signal, shutil, sys
from pathlib import Path
from bedplate.core import files
out, number, can_exchange = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True"
steps = 0

def deadly(act):
    def wrapped(*arguments, **options):
        global steps
        steps += 1
        if steps == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*arguments, **options)
    return wrapped

with files.replacing_folder(out, lambda folder: True) as aside:
    (aside / "mark").write_text("new")
    files._exchange = deadly(files._exchange) if can_exchange else lambda one, other: False
    Path.rename = deadly(Path.rename)
    shutil.rmtree = deadly(shutil.rmtree)
"""
