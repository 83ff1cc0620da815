"""`bedplate serve MODEL`: an OpenAI-compatible API server."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from bedplate.app.toolchain.serve.serve import Settings
from bedplate.cli.terminal.model_argument import model_argument
from bedplate.cli.terminal.output import note, output_option
from bedplate.cli.terminal.settings_options import settings_options
from bedplate.core.messages import encode

if TYPE_CHECKING:
    from bedplate.app.toolchain.serve.serve import ApiKey, ServerReady


@click.command("serve")
@model_argument
@settings_options(Settings, without=("model",), environment={"api_key": "BEDPLATE_API_KEY"})
@output_option
def command(model: str, settings: dict[str, Any], output: str) -> None:
    """Serve MODEL (a folder, or the name of a fetched model) until Ctrl-C.

    Serves OpenAI's API: /v1/models, /v1/completions, /v1/chat/completions; also /health and /metrics.

    \b
    Examples:
      bedplate serve smollm2-135m-instruct
      bedplate serve ./my-model --port 9000 --context-tokens 4k --no-auth
    """
    from pathlib import Path

    from bedplate.app.pipeline.file.inputs import resolve_inputs
    from bedplate.app.toolchain.serve.serve import open_key
    from bedplate.app.toolchain.serve.standalone import serve_here
    from bedplate.core.settings import read_settings

    read = read_settings(Settings, resolve_inputs(Settings, {"model": model, **settings}, Path.cwd(), has_references=False))
    key = open_key(read)
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup: stays ignored
            signal.signal(number, lambda received, _: stopped.append(received))
    note(f"loading {model}")
    serve_here(read, key, lambda ready: _show(ready, key, output), lambda: bool(stopped))
    with contextlib.suppress(OSError):  # a terminal that was closed
        note("stopped")


def _show(ready: ServerReady, key: ApiKey, output: str) -> None:
    file = None if key.file is None else str(key.file)
    if output == "json":
        print(json.dumps({**encode(ready), "api_key": key.key, "api_key_file": file}, ensure_ascii=False), flush=True)
        return
    print(f"serving {ready.model} at {ready.url}/v1 (context {ready.context_tokens} tokens)")
    if key.is_new:
        print(f"new API key, stored in {file}:\n  {key.key}")
    elif key.file is not None:
        print(f"API key: in {file}")
    header = "" if key.key is None else f' -H "Authorization: Bearer {_shell_key(key)}"'
    messages = [{"role": "user", "content": "Write one sentence about the sea."}]
    body = json.dumps({"model": ready.model, "temperature": 0.2, "max_tokens": 32, "messages": messages})
    print(f"try:\n  curl {ready.url}/v1/chat/completions{header} -H 'Content-Type: application/json' -d '{body}'")
    print("Ctrl-C stops it.")
    sys.stdout.flush()


def _shell_key(key: ApiKey) -> str:
    return "YOUR-KEY" if key.file is None else f"$(cat '{key.file}')"
