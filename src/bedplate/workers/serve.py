"""Serves a model inside its process: opens the model and the KV store, builds the engine and the API server, listens.

`main` serves until it is stopped (SIGTERM, SIGINT, SIGHUP): new requests are refused, what runs gets some seconds to
finish and is then cut with an error, and engine and store are closed, so every KV block that was put is on disk.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bedplate.core.blocks import KV_STORE
from bedplate.core.errors import ResourcesError
from bedplate.core.generation import GenerationEngine
from bedplate.core.json import JsonObject
from bedplate.core.messages import decode, encode
from bedplate.core.task import TaskContext, worker_errors
from bedplate.core.units import format_bytes
from bedplate.service.listening import listen
from bedplate.service.openai.settings import ServerSettings
from bedplate.service.openai.texts.codec import TextCodec
from bedplate.toolchain.models.card import weights_digest
from bedplate.toolchain.models.weights import size_bytes
from bedplate.toolchain.serve.task import ServeResult, ServerReady, ServeTask

if TYPE_CHECKING:
    from bedplate.service.openai.draining import DrainingServer


class Server:
    """An API server on a listening socket. `run` blocks; `stop` may come from any thread, or before `run`."""

    def __init__(
        self, task: ServeTask, listener: socket.socket, engine: GenerationEngine, codec: TextCodec, context_tokens: int
    ):
        self.engine, self.codec = engine, codec
        self.host, self.port = listener.getsockname()[:2]
        self._task, self._listener, self._context_tokens = task, listener, context_tokens
        self._http = self._make_http_server()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def ready(self) -> ServerReady:
        """What callers need to know."""
        return ServerReady(url=self.url, port=self.port, model=self._task.name, context_tokens=self._context_tokens)

    def run(self) -> None:
        """Serve until `stop`, SIGTERM or SIGINT; requests that run then get `drain` seconds."""
        if not self._http.should_exit:
            self._http.run(sockets=[self._listener])

    def stop(self) -> None:
        """Ask `run` to end."""
        self._http.should_exit = True

    def _make_http_server(self) -> DrainingServer:
        from bedplate.service.openai.application import create_server
        from bedplate.service.openai.draining import DrainingServer
        from bedplate.service.openai.shutdown import Shutdown

        shutdown = Shutdown()
        settings = ServerSettings(
            model=self._task.name,
            context_tokens=self._context_tokens,
            api_key=self._task.api_key,
            max_body=self._task.max_body,
            request_timeout=self._task.request_timeout,
            control_tokens=self._task.control_tokens,
            parallel_choices=self._task.parallel_choices,
        )
        return DrainingServer(create_server(self.engine, self.codec, settings, shutdown), shutdown, self._task.drain)


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """Serve until stopped; reports `ServerReady` as progress once it listens, and returns a `ServeResult`."""
    task = decode(ServeTask, context.spec)
    stop = StopSignals()
    with open_server(task, context.stores.get(KV_STORE), len(context.cores) or None) as server:
        context.progress(**encode(server.ready()))
        stop.call(server.stop)
        server.run()
        return encode(ServeResult(requests_finished=server.engine.statistics().finished))


class StopSignals:
    """Turns SIGTERM, SIGINT and SIGHUP into a call, once there is something to call.

    uvicorn takes the first two while it runs, and raises them again when it has ended. A SIGHUP that the parent ignores
    (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self._was_received = False
        self._stop: Callable[[], None] = self._note
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda received, frame: self._stop())

    def _note(self) -> None:
        self._was_received = True

    def call(self, stop: Callable[[], None]) -> None:
        """Call `stop` at each further signal, and now if there was one already."""
        self._stop = stop
        if self._was_received:
            stop()


@contextmanager
def open_server(task: ServeTask, kv_url: str | None, num_cores: int | None = None) -> Iterator[Server]:
    """A server that listens on its port, ready to `run`; everything it holds is released at the end.

    Raises:
        UnavailableError: The port is in use, or the KV store is.
        ResourcesError: The model does not fit in memory.
        NotFoundError: No such model.
    """
    with listen(task.host, task.port) as listener:
        import torch

        from bedplate.storage.kvcache.open import open_kv_store
        from bedplate.toolchain.models.folder import load_model
        from bedplate.toolchain.serve.codec import FolderCodec
        from bedplate.toolchain.serve.engine import BuiltInEngine
        from bedplate.toolchain.serve.prefix import kv_namespace
        from bedplate.toolchain.serve.threads import step_threads

        folder, dtype = Path(task.model), getattr(torch, task.dtype)
        _check_memory(folder)
        codec = FolderCodec(folder)
        store = None if kv_url is None else open_kv_store(kv_url)
        try:
            model = load_model(folder, dtype)
            max_threads = num_cores or torch.get_num_threads()
            threads = step_threads(model.config, task.engine, max_threads)
            torch.set_num_threads(threads.prefill)  # which makes the blocks, so that it is part of their key
            namespace = kv_namespace(model.config, weights_digest(folder), dtype, task.engine.chunk_tokens)
            engine = BuiltInEngine(model, task.engine, store, namespace, threads)
            try:
                yield Server(task, listener, engine, codec, engine.context_tokens)
            finally:
                engine.close()
        finally:
            if store is not None:
                store.close()


def _check_memory(folder: Path) -> None:
    """Weights are read, then reordered: for a moment there are two copies."""
    needed_bytes = 2 * size_bytes(folder)
    free_bytes = psutil.virtual_memory().available
    if needed_bytes > free_bytes:
        raise ResourcesError(
            "the model does not fit in memory",
            seen=f"{format_bytes(free_bytes)} free",
            expected=f"{format_bytes(needed_bytes)}: twice the weights of {folder}",
            next_step="free memory, or serve a smaller or a compressed model",
        )
