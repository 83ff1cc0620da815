"""A real server on a free port, in a thread of the test process."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from bedplate.core.generation import GenerationEngine
from bedplate.toolchain.serve.task import ServeTask
from bedplate.workers.serve import Server, open_server

KEY = "a-key-for-tests"


@contextlib.contextmanager
def serving(model: Path, **words: Any) -> Iterator[Server]:
    settings: dict[str, Any] = {"api_key": KEY, "drain": 1.0} | words
    task = ServeTask(model=str(model), name="tiny", **settings)
    with open_server(task, "kv:?memory=50MB") as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            wait_for(lambda: httpx.get(f"{server.url}/health").status_code == 200)
            yield server
        finally:
            server.stop()
            thread.join()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while True:
        with contextlib.suppress(httpx.ConnectError):
            if condition():
                return
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def is_idle(engine: GenerationEngine) -> bool:
    now = engine.statistics()
    return now.running == now.queued == 0
