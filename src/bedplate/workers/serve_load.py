"""A serving measurement as one task: the server in this process, the client in a child, HTTP between them.

Both share the task's cores, as they would on a small machine. One task measures one setting, from a fresh process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bedplate.core.blocks import KV_STORE
from bedplate.core.errors import CancelledError, TaskError
from bedplate.core.json import JsonObject
from bedplate.core.settings import read_settings
from bedplate.core.task import TaskContext, worker_errors
from bedplate.toolchain.serve.loads import LoadSettings, make_conversations
from bedplate.workers.serve import Server, ServeTask, open_server


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeLoadTask:
    """The spec."""

    serve: ServeTask
    """What is served."""
    load: LoadSettings
    """What is asked of it."""


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """Serve, let the load run, and return what the client measured (see `workers/load.py`)."""
    task = read_settings(ServeLoadTask, context.spec)
    with open_server(task.serve, context.stores.get(KV_STORE), len(context.cores) or None) as server:
        client = _Client(_plan(task, server), server, context)
        client.start()
        try:
            server.run()
        finally:
            client.end()
        return client.result()


def _plan(task: ServeLoadTask, server: Server) -> JsonObject:
    def encode(text: str) -> list[int]:
        return server.codec.encode(text, add_special_tokens=False)

    conversations = make_conversations(task.load, encode)
    return {
        "url": server.url,
        "api_key": task.serve.api_key or "",
        "model": task.serve.name,
        "streams": task.load.streams,
        "output_tokens": task.load.output_tokens,
        "conversations": conversations,
        "warm_up": conversations[0][0][-2 * task.serve.engine.chunk_tokens :][::-1],
    }


class _Client:
    """The child process and the thread that listens to it; stops the server when the child has ended."""

    def __init__(self, plan: JsonObject, server: Server, context: TaskContext) -> None:
        self._server, self._context = server, context
        self._result: Mapping[str, Any] | None = None
        self._errors = ""
        self._is_ended_by_us = False
        self._plan = json.dumps(plan)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bedplate.workers.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._listen, name="load-client")

    def start(self) -> None:
        """Let the load run."""
        self._thread.start()

    def _listen(self) -> None:
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        try:
            with process.stdin:
                process.stdin.write(self._plan)
            for line in process.stdout:
                said = json.loads(line)
                if "result" in said:
                    self._result = said["result"]
                else:
                    self._context.progress(done=said["done"], total=said["total"], unit="requests")
            self._errors = process.stderr.read()
        except (OSError, ValueError) as error:
            self._errors = str(error)
        finally:
            self._server.stop()

    def end(self) -> None:
        """End the child if it still runs."""
        if self._process.poll() is None and self._result is None:
            self._is_ended_by_us = True
            self._process.terminate()
        self._thread.join()
        self._process.wait()

    def result(self) -> JsonObject:
        """What the client measured.

        Raises:
            CancelledError: The server was told to stop before the load had ended.
            TaskError: A request failed, or the client was killed.
        """
        if self._result is not None:
            return self._result
        if self._is_ended_by_us:
            raise CancelledError("the load was stopped before its end")
        code = self._process.returncode
        raise TaskError(
            "the load client failed",
            seen=self._errors.strip() or (f"killed by signal {-code}" if code < 0 else f"exit code {code}"),
            next_step="look at what the client was killed by (dmesg shows the kernel's OOM killer), then run it again"
            if code < 0
            else None,
        )
