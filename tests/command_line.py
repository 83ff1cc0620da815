"""The real command line in a process of its own, with the use cases of the tests."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
USES = {f"test.{name}": f"tests.app.steps.{name}" for name in ("write", "gate", "fail", "gang", "leave")}
DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """`bedplate` with a state folder of its own."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write(self, text: str, name: str = "pipeline.yaml") -> Path:
        file = self.folder / name
        file.write_text(text)
        return file

    def start(self, *arguments: object, **options: Any) -> "subprocess.Popen[str]":
        """Options are those of Popen, `environment` (added to this one's), and `prefix`: a command that runs the verb."""
        words = [str(argument) for argument in arguments]
        if words[0] in ("run", "plan", "up", "submit"):
            words += [word for name, module in USES.items() for word in ("--use", f"{name}={module}")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "BEDPLATE_STATE": str(self.state),
            "LANG": "C.UTF-8",
        }
        environment.pop("PYTHONUNBUFFERED", None)  # it hides what is still buffered when a reader has left
        environment |= options.pop("environment", {})
        words = [*options.pop("prefix", ()), sys.executable, "-m", "bedplate", *words]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen(words, cwd=self.folder, env=environment, text=True, **streams)

    def call(self, *arguments: object, deadline_s: float = DEADLINE_S, **options: Any) -> "Ended":
        return ended(self.start(*arguments, **options), deadline_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


def ended(process: "subprocess.Popen[str]", deadline_s: float = DEADLINE_S) -> Ended:
    out, err = process.communicate(timeout=deadline_s)
    return Ended(code=process.returncode, out=out or "", err=err or "")


def wait_until(holds: Callable[[], Any], what: str, process: "subprocess.Popen[str] | None" = None) -> Any:
    """What `holds` returns once it is true; fails after a deadline, or when `process` ends before."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not (value := holds()):
        if process is not None and process.poll() is not None:
            raise AssertionError(f"it ended before {what}: {ended(process)}")
        assert time.monotonic() < deadline_s, f"waited in vain for: {what}"
        time.sleep(0.02)
    return value


def statuses(document: Any) -> Sequence[tuple[str, str]]:
    return [(step["name"], step["status"]) for step in document["steps"]]
