"""Peak memory counts all processes of a run, and what they share only once."""

import subprocess
import sys
from pathlib import Path

from bedplate.app.pipeline.run.memory import PeakMemory

MEGABYTE = 1 << 20
TOUCH = (
    "import mmap, sys\n"
    "file = open(sys.argv[1], 'r+b')\n"
    "pages = mmap.mmap(file.fileno(), 0)\n"
    "touched = sum(pages[::4096])\n"
    "own = bytearray(b'1') * int(sys.argv[2])\n"
    "print('ready', flush=True)\n"
    "sys.stdin.read()\n"
)


def start(file: Path, own_bytes: int) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", TOUCH, str(file), str(own_bytes)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_memory_shared_by_two_children_counts_once(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.write_bytes(bytes(64 * MEGABYTE))
    memory = PeakMemory()
    memory.sample()
    before = memory.peak_bytes
    children = [start(shared, 16 * MEGABYTE) for _ in range(2)]
    memory.sample()
    for child in children:
        child.communicate("")
    grown = memory.peak_bytes - before
    assert 96 * MEGABYTE < grown < 128 * MEGABYTE, "64 shared once, 16 twice, two interpreters of some 8"


def test_the_peak_outlasts_freed_memory_and_earlier_attempts() -> None:
    memory = PeakMemory(1 << 50)
    memory.sample()
    assert memory.peak_bytes == 1 << 50
