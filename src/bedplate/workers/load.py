"""The client of a serving measurement: a process of its own, over real HTTP, standard library only.

    python -m bedplate.workers.load < plan.json

Stdin holds a `LoadPlan`. Each of its `streams` threads takes one conversation after the other and plays its turns; a turn's
prompt is all tokens so far, answers included. Stdout gets one `LoadLine` for each answered request, and a last one with the
result, or with what went wrong.

A server that does not name the tokens of its answers (`return_token_ids` is an extension) cannot have them sent back. As many
tokens of the turn itself then take their place, so that prompts keep their length.
"""

from __future__ import annotations

import http.client
import json
import queue
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

from bedplate.core.messages import decode, encode
from bedplate.toolchain.load.messages import (
    LoadFailure,
    LoadLine,
    LoadPlan,
    LoadProgress,
    LoadResult,
    RequestResult,
)

TIMEOUT_S = 600.0
ENGINE = "bedplate"


def main() -> int:
    """Run the plan on stdin; 1 when a request failed."""
    plan = decode(LoadPlan, json.load(sys.stdin))
    try:
        message: LoadProgress | LoadResult | LoadFailure = play(plan, ENGINE, _say)
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        message = LoadFailure(reason=f"{type(error).__name__}: {error}")
    _say(message)
    return int(isinstance(message, LoadFailure))


def play(plan: LoadPlan, engine: str, on_progress: Callable[[LoadProgress], None]) -> LoadResult:
    """Warm up, then play all conversations, `streams` at a time.

    Args:
        plan: What to play, and where.
        engine: Name of the server's engine, for the result.
        on_progress: Called after each request, from any thread.

    Raises:
        RuntimeError: A request was refused or failed.
        OSError, http.client.HTTPException: The server cannot be reached for the warm-up.
    """
    with closing(_connect(plan.url)) as connection:
        ask(connection, replace(plan, output_tokens=min(4, plan.output_tokens)), plan.warm_up)
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(plan.conversations)):
        waiting.put(index)
    total = sum(len(turns) for turns in plan.conversations)
    done: list[RequestResult] = []
    failures: list[BaseException] = []

    def stream() -> None:
        try:
            with closing(_connect(plan.url)) as connection:
                while not failures:
                    for request in converse(connection, plan, waiting.get_nowait()):
                        done.append(request)
                        on_progress(LoadProgress(done=len(done), total=total))
        except queue.Empty:
            return
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=stream) for _ in range(plan.streams)]
    started_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started_s
    if failures:
        raise RuntimeError(f"{len(done)} of {total} requests done, then {type(failures[0]).__name__}: {failures[0]}")
    done.sort(key=lambda request: (request.conversation, request.turn))
    return LoadResult(engine=engine, seconds=seconds, requests=tuple(done))


def converse(connection: http.client.HTTPConnection, plan: LoadPlan, index: int) -> Iterator[RequestResult]:
    """Play one conversation; yields each request as it is answered."""
    tokens: list[int] = []
    for turn, added in enumerate(plan.conversations[index]):
        tokens += added
        answer = ask(connection, plan, tokens)
        tokens += answer.tokens or islice(cycle(added), answer.num_tokens)
        yield RequestResult(
            conversation=index,
            turn=turn,
            prompt_tokens=answer.prompt_tokens,
            cached_tokens=answer.cached_tokens,
            tokens=answer.tokens,
            num_tokens=answer.num_tokens,
            first_token_s=answer.first_token_s,
            per_token_s=answer.per_token_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One streamed completion; fields as in `RequestResult`."""

    prompt_tokens: int
    cached_tokens: int | None
    tokens: tuple[int, ...]
    num_tokens: int
    first_token_s: float
    per_token_s: float | None


def ask(connection: http.client.HTTPConnection, plan: LoadPlan, prompt: Sequence[int]) -> Answer:
    """One streamed completion: its tokens, usage and times.

    Raises:
        RuntimeError: The server refused it, or it failed on the way.
    """
    sent_s = time.perf_counter()
    connection.request("POST", api_path(plan.url, "completions"), json.dumps(_body(plan, prompt)), headers(plan.api_key))
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"status {response.status}: {response.read()[:500].decode(errors='replace')}")
    tokens: list[int] = []
    num_events, first_s, last_s = 0, None, sent_s
    usage: dict[str, Any] = {}
    for event in _events(response):
        if "error" in event:
            raise RuntimeError(str(event["error"]))
        for choice in event.get("choices") or []:
            new = choice.get("token_ids")
            tokens += new or []
            if new or (new is None and choice.get("text")):
                num_events, last_s = num_events + 1, time.perf_counter()
                first_s = first_s or last_s
        usage = event.get("usage") or usage
    if first_s is None:
        raise RuntimeError("the answer was empty")
    num_tokens = len(tokens) or usage.get("completion_tokens") or num_events
    return Answer(
        prompt_tokens=usage.get("prompt_tokens", len(prompt)),
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        tokens=tuple(tokens),
        num_tokens=num_tokens,
        first_token_s=first_s - sent_s,
        per_token_s=(last_s - first_s) / (num_tokens - 1) if num_tokens > 1 else None,
    )


def _body(plan: LoadPlan, prompt: Sequence[int]) -> dict[str, Any]:
    return {
        "model": plan.model,
        "prompt": list(prompt),
        "max_tokens": plan.output_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "return_token_ids": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    while line := response.readline():
        if line.startswith(b"data:") and (data := line[5:].strip()) != b"[DONE]":
            yield json.loads(data)
    response.read()  # where the answer has a length, only this frees the connection for the next request


def api_path(url: str, name: str) -> str:
    """Path of an endpoint of the API: `/v1/` and its name, behind the path of `url`."""
    return urllib.parse.urlsplit(url).path.rstrip("/").removesuffix("/v1") + f"/v1/{name}"


def headers(api_key: str) -> dict[str, str]:
    """Headers of a request; without a key, none is sent."""
    return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})


def _connect(url: str) -> http.client.HTTPConnection:
    address = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    return kind(address.hostname or "", address.port, timeout=TIMEOUT_S)


def _say(message: LoadProgress | LoadResult | LoadFailure) -> None:
    sys.stdout.write(json.dumps(encode(LoadLine(message=message))) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
