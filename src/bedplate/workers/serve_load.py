"""A serving measurement as one task: the server in this process, the client in a child, HTTP between them.

Both share the task's cores, as they would on a small machine. One task measures one setting, from a fresh process.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass

from bedplate.core.blocks import KV_STORE
from bedplate.core.errors import CancelledError, MessageError, TaskError
from bedplate.core.json import JsonObject
from bedplate.core.messages import decode, encode
from bedplate.core.settings import read_settings
from bedplate.core.task import TaskContext, worker_errors
from bedplate.toolchain.load.conversations import LoadSettings, make_conversations
from bedplate.toolchain.load.messages import LoadFailure, LoadLine, LoadPlan, LoadProgress, LoadResult
from bedplate.toolchain.serve.task import ServeTask
from bedplate.workers.serve import Server, open_server


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeLoadTask:
    """The spec."""

    serve: ServeTask
    """What is served."""
    load: LoadSettings
    """The load to play."""


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """Serve, let the load run, and return the `LoadResult` of the client."""
    task = read_settings(ServeLoadTask, context.spec)
    with open_server(task.serve, context.stores.get(KV_STORE), len(context.cores) or None) as server:
        client = _Client(_plan(task, server), server, context)
        client.start()
        try:
            server.run()
        finally:
            client.end()
        return encode(client.result())


def _plan(task: ServeLoadTask, server: Server) -> LoadPlan:
    def encode_text(text: str) -> list[int]:
        return server.codec.encode(text, add_special_tokens=False)

    conversations = make_conversations(task.load, encode_text)
    return LoadPlan(
        url=server.url,
        api_key=task.serve.api_key or "",
        model=task.serve.name,
        streams=task.load.streams,
        output_tokens=task.load.output_tokens,
        conversations=conversations,
        warm_up=conversations[0][0][-2 * task.serve.engine.chunk_tokens :][::-1],
    )


class _Client:
    """The child process and the thread that reads its output; stops the server when the child has ended."""

    def __init__(self, plan: LoadPlan, server: Server, context: TaskContext) -> None:
        self._server, self._context = server, context
        self._result: LoadResult | None = None
        self._failure = ""
        self._is_stopped = False
        self._plan = json.dumps(encode(plan))
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
                self._take(decode(LoadLine, json.loads(line)).message)
            self._failure = self._failure or process.stderr.read().strip()
        except (OSError, ValueError, MessageError) as error:
            self._failure = str(error)
        finally:
            self._server.stop()

    def _take(self, message: LoadProgress | LoadResult | LoadFailure) -> None:
        if isinstance(message, LoadResult):
            self._result = message
        elif isinstance(message, LoadFailure):
            self._failure = message.reason
        else:
            self._context.progress(**encode(message))

    def end(self) -> None:
        """End the child if it still runs."""
        if self._process.poll() is None and self._result is None and self._thread.is_alive():
            self._is_stopped = True
            self._process.terminate()
        self._thread.join()
        self._process.wait()

    def result(self) -> LoadResult:
        """What the client measured.

        Raises:
            CancelledError: The server was stopped before the load finished.
            TaskError: A request failed, or the client was killed.
        """
        if self._result is not None:
            return self._result
        if self._is_stopped:
            raise CancelledError("the load was stopped before it finished", next_step="run it again")
        code = self._process.returncode
        if code is not None and code < 0:
            raise TaskError(
                "the load client was killed",
                seen=f"killed by signal {-code} ({signal.Signals(-code).name})",
                next_step="free memory if the system ran out of it (see the kernel log), then run it again",
            )
        raise TaskError("the load failed", seen=self._failure or f"exit code {code}", expected="an answer to every request")
