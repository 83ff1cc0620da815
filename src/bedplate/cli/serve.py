"""`bedplate serve MODEL`: a model behind an OpenAI-compatible door."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.cli.terminal.output import note, output_option

if TYPE_CHECKING:
    from bedplate.app.toolchain.serve.serve import ApiKey
    from bedplate.core.json import JsonObject


@click.command("serve")
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 takes a free one.")
@click.option("--name", help="Name under which the model is served.  [default: its folder's name]")
@click.option(
    "--kv", default="on", show_default=True, metavar="on|off|URL", help="KV memory, as kv:///dir?memory=1GB&disk=10GB."
)
@click.option("--kv-memory", default="2GB", show_default=True, help="KV of running requests.")
@click.option("--max-batch", type=click.IntRange(1, 256), default=8, show_default=True, help="Requests that run at once.")
@click.option("--queue", type=click.IntRange(1), default=64, show_default=True, help="Requests that may wait; more get 429.")
@click.option("--context", type=click.IntRange(2), help="Longest prompt plus answer, in tokens.  [default: what fits]")
@click.option("--dtype", type=click.Choice(["bfloat16", "float32"]), default="bfloat16", show_default=True)
@click.option("--request-timeout", help="Longest time of a request, like 5m.  [default: none]")
@click.option("--api-key", envvar="BEDPLATE_API_KEY", help="Key that callers must send.  [default: your own, made once]")
@click.option("--no-auth", is_flag=True, help="Let everybody in; on a loopback address only.")
@output_option
def command(
    model: str,
    host: str,
    port: int,
    name: str | None,
    kv: str,
    kv_memory: str,
    max_batch: int,
    queue: int,
    context: int | None,
    dtype: str,
    request_timeout: str | None,
    api_key: str | None,
    no_auth: bool,
    output: str,
) -> None:
    """Serve MODEL (a folder, or the name of a fetched model) until Ctrl-C.

    Speaks OpenAI's API: /v1/models, /v1/completions, /v1/chat/completions; also /health and /metrics.
    """
    from bedplate.app.toolchain.serve.serve import Settings, open_key, serve
    from bedplate.app.wiring import local_engine
    from bedplate.core.settings import read_settings

    words = {
        "model": model,
        "name": name,
        "host": host,
        "port": port,
        "kv": kv,
        "kv_memory": kv_memory,
        "api_key": api_key,
        "auth": not no_auth,
        "max_batch": max_batch,
        "queue_size": queue,
        "context_tokens": context,
        "dtype": dtype,
        "request_timeout": request_timeout,
    }
    settings = read_settings(Settings, words)
    key = open_key(settings)
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopped.append(received))
    with tempfile.TemporaryDirectory(prefix="bedplate-serve-") as folder:
        engine = local_engine(Path(folder))
        try:
            note(f"loading {model}")
            serve(settings, engine, Path(folder), key, lambda ready: _show(ready, key, output), lambda: bool(stopped))
        finally:
            engine.close()
    note("stopped")


def _show(ready: JsonObject, key: ApiKey, output: str) -> None:
    file = None if key.file is None else str(key.file)
    if output == "json":
        print(json.dumps({**ready, "api_key": key.key, "api_key_file": file}, ensure_ascii=False), flush=True)
        return
    print(f"serving {ready['model']} at {ready['url']}/v1 (context {ready['context_tokens']} tokens)")
    if key.is_new:
        print(f"API key, made for you and kept in {file}:\n  {key.key}")
    elif key.file is not None:
        print(f"API key: in {file}")
    header = "" if key.key is None else f' -H "Authorization: Bearer {_shell_key(key)}"'
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    body = json.dumps({"model": ready["model"], "temperature": 0.2, "max_tokens": 32, "messages": messages})
    print(f"try:\n  curl {ready['url']}/v1/chat/completions{header} -H 'Content-Type: application/json' -d '{body}'")
    print("Ctrl-C stops it.")
    sys.stdout.flush()


def _shell_key(key: ApiKey) -> str:
    return "YOUR-KEY" if key.file is None else f"$(cat '{key.file}')"
