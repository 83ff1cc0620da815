"""The same load against a server that is already running: a third-party engine, by its URL."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.errors import TaskError, UnavailableError
from bedplate.core.json import JsonObject
from bedplate.core.messages import encode
from bedplate.core.settings import read_settings
from bedplate.core.task import TaskContext, worker_errors
from bedplate.toolchain.load.conversations import LoadSettings, make_conversations
from bedplate.toolchain.load.messages import LoadPlan, LoadProgress
from bedplate.toolchain.serve.codec import FolderCodec
from bedplate.workers.load import api_path, headers, play

API_KEY_VARIABLE = "OPENAI_API_KEY"
WARM_UP_TOKENS = 128
_ANSWERS_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLoadTask:
    """The spec."""

    url: str
    """Of an OpenAI-compatible server."""
    model: str
    """Folder of the model that it serves, for the tokenizer."""
    load: LoadSettings
    """The load to play."""


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """Play the load against the server, and return the `LoadResult`."""
    task = read_settings(PeerLoadTask, context.spec)
    key = os.environ.get(API_KEY_VARIABLE, "")
    engine, model = _served_model(task.url, key)
    codec = FolderCodec(Path(task.model))
    conversations = make_conversations(task.load, lambda text: codec.encode(text, add_special_tokens=False))
    plan = LoadPlan(
        url=task.url,
        api_key=key,
        model=model,
        streams=task.load.streams,
        output_tokens=task.load.output_tokens,
        conversations=conversations,
        warm_up=conversations[0][0][-WARM_UP_TOKENS:][::-1],
    )

    def report(progress: LoadProgress) -> None:
        context.progress(**encode(progress))

    try:
        return encode(play(plan, engine, report))
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        raise TaskError("the load failed", seen=f"{task.url}: {error}", expected="an answer to every request") from error


def _served_model(url: str, api_key: str) -> tuple[str, str]:
    """(what the engine calls itself, name of its first model)."""
    address = urllib.parse.urlsplit(url)
    endpoint = f"{address.scheme}://{address.netloc}{api_path(url, 'models')}"
    try:
        request = urllib.request.Request(endpoint, headers=headers(api_key))  # noqa: S310 (the step checked the scheme)
        with urllib.request.urlopen(request, timeout=_ANSWERS_WITHIN_S) as response:  # noqa: S310
            model = json.load(response)["data"][0]
        return str(model.get("owned_by") or address.netloc), str(model["id"])
    except urllib.error.HTTPError as error:
        raise UnavailableError(
            "the peer refuses to list its models",
            seen=f"{endpoint}: status {error.code}",
            next_step=f"give its key in {API_KEY_VARIABLE}" if error.code in (401, 403) else None,
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(
            "no peer answers there", seen=f"{endpoint}: {error}", next_step="start its server, and give its URL"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnavailableError(
            "the peer is no OpenAI-compatible server", seen=endpoint, expected='{"data": [{"id": …}]}'
        ) from error
