"""A served model inside its process: opens the model and the KV store, builds engine and door, listens.

`main` serves until it is told to stop (SIGTERM, SIGINT): the door takes no more connections, what runs gets some seconds
to finish, then engine and store are closed, so every KV block that was put is on disk.
"""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import psutil

from bedplate.core.blocks import KV_STORE
from bedplate.core.errors import ResourcesError, UnavailableError
from bedplate.core.generation import GenerationEngine
from bedplate.core.json import JsonObject
from bedplate.core.settings import Range, read_settings
from bedplate.core.task import TaskContext, worker_errors
from bedplate.core.units import ByteCount, Duration, format_bytes
from bedplate.service.openai.codec import TextCodec
from bedplate.service.openai.settings import ServerSettings
from bedplate.toolchain.models.card import weights_digest
from bedplate.toolchain.models.weights import size_bytes
from bedplate.toolchain.serve.settings import EngineSettings

if TYPE_CHECKING:
    import uvicorn


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeTask:
    """The spec of a serving task."""

    model: str
    """Folder of the model."""
    name: str
    """Name under which it is served."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Range(0, 65535)] = 0
    """Port to listen on; 0 takes a free one."""
    api_key: str | None = None
    """Key that callers must send; None lets everybody in."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Number format of weights and KV."""
    engine: EngineSettings = field(default_factory=EngineSettings)
    """Settings of the built-in engine."""
    request_timeout: Duration | None = None
    """Seconds after which a request ends unfinished; None: never."""
    max_body: Annotated[ByteCount, Range(1)] = 8_000_000
    """Largest request body, in bytes."""
    drain: Duration = 10.0
    """Seconds that running requests get when the server is told to stop."""


class Server:
    """A door on a listening socket. `run` blocks; `stop` may come from any thread, or before `run`."""

    def __init__(
        self, task: ServeTask, listener: socket.socket, engine: GenerationEngine, codec: TextCodec, context_tokens: int
    ):
        self.engine, self.codec = engine, codec
        self.host, self.port = listener.getsockname()[:2]
        self._task, self._listener, self._context_tokens = task, listener, context_tokens
        self._uvicorn = self._make_uvicorn()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def description(self) -> JsonObject:
        """What callers need to know."""
        return {"url": self.url, "port": self.port, "model": self._task.name, "context_tokens": self._context_tokens}

    def run(self) -> None:
        """Serve until `stop`, SIGTERM or SIGINT; requests that run then get `drain` seconds."""
        if not self._uvicorn.should_exit:
            self._uvicorn.run(sockets=[self._listener])

    def stop(self) -> None:
        """Ask `run` to end."""
        self._uvicorn.should_exit = True

    def _make_uvicorn(self) -> uvicorn.Server:
        import uvicorn

        from bedplate.service.openai.application import create_server

        door = create_server(
            self.engine,
            self.codec,
            ServerSettings(
                model=self._task.name,
                context_tokens=self._context_tokens,
                api_key=self._task.api_key,
                max_body=self._task.max_body,
                request_timeout=self._task.request_timeout,
            ),
        )
        drain_s = max(1, round(self._task.drain))
        return uvicorn.Server(
            uvicorn.Config(door, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=drain_s)
        )


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """Serve until told to stop; reports `Server.description` as progress once it listens."""
    told_to_stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn takes these while it runs, and raises them again when it has ended
        signal.signal(number, lambda received, _: told_to_stop.append(received))
    task = read_settings(ServeTask, context.spec)
    with open_server(task, context.stores.get(KV_STORE), len(context.cores) or None) as server:
        context.progress(**server.description())
        if not told_to_stop:
            server.run()
        return {"requests_finished": server.engine.statistics().finished}


@contextmanager
def open_server(task: ServeTask, kv_url: str | None, num_threads: int | None = None) -> Iterator[Server]:
    """A server that listens on its port, ready to `run`; everything it holds is released at the end.

    Raises:
        UnavailableError: The port is in use, or the KV store is.
        ResourcesError: The model does not fit the memory.
        NotFoundError: No such model.
    """
    with _listen(task.host, task.port) as listener:
        import torch

        from bedplate.storage.kvcache.open import open_kv_store
        from bedplate.toolchain.models.folder import load_model
        from bedplate.toolchain.serve.codec import FolderCodec
        from bedplate.toolchain.serve.engine import BuiltInEngine
        from bedplate.toolchain.serve.prefix import kv_namespace

        if num_threads is not None:
            torch.set_num_threads(num_threads)
        folder, dtype = Path(task.model), getattr(torch, task.dtype)
        _check_memory(folder)
        codec = FolderCodec(folder)
        store = None if kv_url is None else open_kv_store(kv_url)
        try:
            model = load_model(folder, dtype)
            namespace = kv_namespace(model.config, weights_digest(folder), dtype, task.engine.chunk_tokens)
            engine = BuiltInEngine(model, task.engine, store, namespace)
            try:
                yield Server(task, listener, engine, codec, engine.context_tokens)
            finally:
                engine.close()
        finally:
            if store is not None:
                store.close()


def _listen(host: str, port: int) -> socket.socket:
    listener = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        return listener
    except OSError as error:
        if listener is not None:
            listener.close()
        in_use = error.errno == errno.EADDRINUSE
        raise UnavailableError(
            f"port {port} is in use" if in_use else f"cannot listen on {host} port {port}",
            seen=f"{host}:{port}: {error.strerror or error}",
            expected="an address of this machine and a free port",
            next_step="stop what listens there, or choose another one with --port (0 takes a free one)",
        ) from error


def _check_memory(folder: Path) -> None:
    """Weights are read, then reordered: for a moment they are there twice."""
    needed_bytes = 2 * size_bytes(folder)
    free_bytes = psutil.virtual_memory().available
    if needed_bytes > free_bytes:
        raise ResourcesError(
            "the model does not fit the memory",
            seen=f"{format_bytes(free_bytes)} free",
            expected=f"{format_bytes(needed_bytes)}: twice the weights of {folder}",
            next_step="free memory, or serve a smaller or a compressed model",
        )
