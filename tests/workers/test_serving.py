"""A server as people run it: `bedplate serve` in a process of its own, its KV memory, its port, its end."""

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bedplate.core.errors import ResourcesError, UnavailableError
from bedplate.core.generation import GeneratedToken, GenerationRequest
from bedplate.storage.kvcache.inspection import describe_directory, verify_directory
from bedplate.toolchain.serve.task import ServeTask
from bedplate.workers.serve import open_server
from tests.service.openai.running import wait_for

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """State and cache folders of a test."""

    folder: Path

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def environment(self) -> dict[str, str]:
        self.temporary.mkdir(exist_ok=True)
        paths = {"XDG_STATE_HOME": str(self.folder / "state"), "XDG_CACHE_HOME": str(self.folder / "cache")}
        paths["TMPDIR"] = str(self.temporary)
        return os.environ | paths | {"PYTHONPATH": str(ROOT / "src")}

    def start(self, *words: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "bedplate", *(str(word) for word in words)]
        return subprocess.Popen(
            command, env=self.environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @contextlib.contextmanager
    def serving(self, *words: object, end: int = signal.SIGINT) -> Iterator[dict[str, Any]]:
        process = self.start("serve", *words, "--port", 0, "-o", "json")
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()
            yield json.loads(line) | {"pid": process.pid}
        finally:
            process.send_signal(end)
            _, err = process.communicate(timeout=30)
        assert process.returncode == (0 if end != signal.SIGKILL else -signal.SIGKILL), err


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(folder=tmp_path)


def complete(ready: dict[str, Any], tokens: int = 4, prompt: list[int] | None = None) -> dict[str, Any]:
    body = {"model": ready["model"], "prompt": prompt or [5] * 300, "max_tokens": tokens, "temperature": 0}
    headers = {"Authorization": f"Bearer {ready['api_key']}"}
    answer = httpx.post(f"{ready['url']}/v1/completions", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_kv_memory_outlives_the_server_and_the_answers_stay_the_same(home: Home, tiny_model: Path) -> None:
    store = home.folder / "kv"
    answers, cached = [], []
    for _ in range(2):
        with home.serving(tiny_model, "--kv", f"kv://{store}?memory=50MB&disk=50MB", end=signal.SIGTERM) as ready:
            answer = complete(ready)
        answers.append(answer["choices"][0]["text"])
        cached.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
    assert cached == [0, 256]
    assert answers[0] == answers[1]
    assert verify_directory(store).damaged == ()
    assert describe_directory(store).blocks == 4


def first_answer(model: Path, kv_url: str | None) -> tuple[GeneratedToken, ...]:
    """What a fresh server answers, with all its scores."""
    with open_server(ServeTask(model=str(model), name="tiny"), kv_url) as server:
        request = GenerationRequest(id="1", prompt=tuple(range(5, 205)), max_new_tokens=4, logprobs=20)
        return tuple(server.engine.submit(request))


@pytest.mark.parametrize("change", [{"rope_theta": 500.0}, {"rms_norm_eps": 0.1}], ids=lambda change: next(iter(change)))
def test_kv_memory_of_an_edited_config_is_not_used(tiny_model: Path, tmp_path: Path, change: dict[str, float]) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    url = f"kv://{tmp_path / 'kv'}?memory=50MB&disk=50MB"
    before = first_answer(model, url)
    assert first_answer(model, url)[0].cached_tokens > 0
    config = json.loads((model / "config.json").read_text())
    if "rope_parameters" in config:
        config["rope_parameters"] |= {name: value for name, value in change.items() if name in config["rope_parameters"]}
    (model / "config.json").write_text(json.dumps(config | change))
    edited = first_answer(model, url)
    assert edited == first_answer(model, None)
    assert [step.logprobs for step in edited] != [step.logprobs for step in before]


def test_the_key_is_made_once_and_readable_by_its_owner_alone(home: Home, tiny_model: Path) -> None:
    with home.serving(tiny_model, "--kv", "off") as ready:
        file = Path(ready["api_key_file"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().strip() == ready["api_key"]
        complete(ready)
        assert httpx.get(f"{ready['url']}/v1/models").status_code == 401


def test_a_port_in_use_is_named_with_what_to_do(home: Home, tiny_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = home.start("serve", tiny_model, "--port", port)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 5
    assert f"port {port} is in use" in err
    assert "--port" in err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("nowhere",), 3, "model fetch"),
        (("{model}", "--host", "0.0.0.0", "--no-auth"), 2, "loopback"),
        (("{model}", "--kv", "redis://x"), 2, "not a KV store"),
        (("{model}", "--kv-memory", "1kB"), 5, "KV memory is too small"),
        (("{model}", "--api-key", ""), 2, "API key is empty"),
        (("{model}", "--api-key", "", "--host", "0.0.0.0"), 2, "API key is empty"),
        (("{model}", "--api-key", "s3cret "), 2, "blanks"),
        (("{model}", "--request-timeout", "0"), 2, "request-timeout"),
    ],
    ids=[
        "no such model",
        "no key for everybody",
        "another store",
        "too little memory",
        "empty key",
        "empty key for everybody",
        "a key with a blank",
        "no time",
    ],
)
def test_what_cannot_be_served_is_said_with_its_exit_code(
    home: Home, tiny_model: Path, words: tuple[str, ...], code: int, text: str
) -> None:
    process = home.start("serve", *(word.format(model=tiny_model) for word in words), "--port", 0)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert text in err


def test_a_model_larger_than_memory_is_refused_before_it_is_read(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(2**43)  # a hole: no disk is used
    task = ServeTask(model=str(tmp_path), name="huge")
    with pytest.raises(ResourcesError, match="does not fit in memory"), open_server(task, None):
        pass


def test_a_kv_store_in_use_is_refused_and_the_port_released(tiny_model: Path, tmp_path: Path) -> None:
    task = ServeTask(model=str(tiny_model), name="tiny")
    url = f"kv://{tmp_path}?memory=1MB"
    with open_server(task, url) as first:
        second = ServeTask(model=str(tiny_model), name="tiny")
        with pytest.raises(UnavailableError, match="KV store is in use"), open_server(second, url):
            pass
        port = first.port
    with socket.create_server(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize("content", ["", "\n", "two words\n", "schl\u00fcssel\n"])
def test_an_unusable_key_file_is_refused_by_name(home: Home, tiny_model: Path, content: str) -> None:
    file = home.folder / "state" / "bedplate" / "api-key"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    process = home.start("serve", tiny_model, "--port", 0)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert str(file) in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_running_answer_with_an_error(home: Home, tiny_model: Path, number: int) -> None:
    with home.serving(tiny_model, "--kv", "off", end=number) as ready:
        headers = {"Authorization": f"Bearer {ready['api_key']}"}
        body = {"model": ready["model"], "prompt": [5], "max_tokens": 4000, "ignore_eos": True}
        url = f"{ready['url']}/v1/completions"
        with httpx.stream("POST", url, json=body | {"stream": True}, headers=headers, timeout=30) as answer:
            lines = answer.iter_lines()
            next(lines)
            os.kill(ready["pid"], number)
            wait_for(lambda: httpx.get(f"{ready['url']}/health").status_code == 503)
            refused = httpx.post(url, json=body, headers=headers)
            events = [line for line in lines if line]
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
    assert "server_shutting_down" in events[-1]
    assert list(home.temporary.iterdir()) == []


def leftovers(home: Home) -> list[str]:
    return sorted(item.name for item in home.temporary.iterdir())


def test_only_folders_of_killed_servers_are_removed_at_start(home: Home, tiny_model: Path) -> None:
    with home.serving(tiny_model, "--kv", "off", end=signal.SIGKILL):
        pass
    (left,) = leftovers(home)
    theirs = home.temporary / "bedplate-serve-notes"
    theirs.mkdir()
    (theirs / "owner").write_text("me")
    (home.temporary / "bedplate-serve-link").symlink_to(theirs)
    with home.serving(tiny_model, "--kv", "off") as first:
        alive = set(leftovers(home)) - {"bedplate-serve-link", "bedplate-serve-notes"}
        assert left not in alive
        assert len(alive) == 1
        with home.serving(tiny_model, "--kv", "off", "--name", "second"):
            assert alive < set(leftovers(home))
            complete(first)
    assert leftovers(home) == ["bedplate-serve-link", "bedplate-serve-notes"]
