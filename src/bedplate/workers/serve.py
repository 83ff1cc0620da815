"""A served model inside its process: opens the model and the KV store, builds engine and door, listens.

`main` serves until it is told to stop (SIGTERM, SIGINT): the door takes no more connections, what runs gets some seconds
to finish, then engine and store are closed, so every KV block that was put is on disk.
"""

from __future__ import annotations

import errno
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from bedplate.core.errors import ResourcesError, UnavailableError
from bedplate.core.json import JsonObject
from bedplate.core.settings import Range, read_settings
from bedplate.core.task import TaskContext
from bedplate.core.units import ByteCount, Duration, format_bytes
from bedplate.service.door.settings import DoorSettings
from bedplate.toolchain.serve.settings import EngineSettings

KV_STORE = "kv"
"""Name of the store in `Task.stores`; none, no memory."""


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


def main(context: TaskContext) -> JsonObject:
    """Serve until told to stop; reports `{"url", "port", "context_tokens"}` as progress once it listens."""
    task = read_settings(ServeTask, context.spec)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn takes them while it runs, and raises them again afterwards
    with open_server(task, context.stores.get(KV_STORE), num_threads=len(context.cores) or None) as server:
        context.progress(**server.description())
        server.run()
        return {"requests_finished": server.requests_finished()}


@contextmanager
def open_server(task: ServeTask, kv_url: str | None, num_threads: int | None = None) -> Iterator[Server]:
    """A server that listens on its port, ready to `run`; everything it holds is released at the end.

    Raises:
        UnavailableError: The port is in use, or the KV store is.
        ResourcesError: The model does not fit the memory.
        NotFoundError: No such model.
    """
    listener = _listen(task.host, task.port)
    try:
        import torch

        from bedplate.storage.kvcache.open import open_kv_store
        from bedplate.toolchain.models.llama import load_llama
        from bedplate.toolchain.serve.codec import FolderCodec
        from bedplate.toolchain.serve.digest import weights_digest
        from bedplate.toolchain.serve.engine import BuiltInEngine
        from bedplate.toolchain.serve.prefix import kv_namespace

        if num_threads is not None:
            torch.set_num_threads(num_threads)
        folder, dtype = Path(task.model), getattr(torch, task.dtype)
        _check_memory(folder)
        codec, model = FolderCodec(folder), load_llama(folder, dtype)
        store = None if kv_url is None else open_kv_store(kv_url)
        try:
            namespace = kv_namespace(task.name, weights_digest(folder), dtype, task.engine.chunk_tokens)
            engine = BuiltInEngine(model, task.engine, store, namespace)
            try:
                yield Server(task, listener, engine, codec)
            finally:
                engine.close()
        finally:
            if store is not None:
                store.close()
    finally:
        listener.close()
