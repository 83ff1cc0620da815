"""The client of a serving measurement: a process of its own, over real HTTP, standard library only.

    python -m bedplate.workers.load < plan.json

Plan: `{url, api_key, model, streams, output_tokens, conversations, warm_up}`. Each of `streams` threads takes one conversation
after the other and plays its turns; a turn's prompt is all tokens so far, answers included. One line of JSON goes to
stdout for each finished request, and last what was measured: `{"result": {seconds, requests: [...]}}`.
"""

from __future__ import annotations

import http.client
import json
import queue
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

TIMEOUT_S = 600.0


def main() -> int:
    """Run the plan on stdin; 1 when a request failed, with the reason on stderr."""
    plan = json.load(sys.stdin)
    try:
        with closing(_connect(plan)) as connection:
            ask(connection, plan, plan["warm_up"], min(4, plan["output_tokens"]))
        result = play(plan)
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    _say({"result": result})
    return 0


def play(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Play all conversations, `streams` at a time.

    Returns:
        `seconds` from the first request to the last answer, and `requests`: conversation, turn, prompt_tokens,
        cached_tokens, tokens, first_token_s, per_token_s (None with one token).

    Raises:
        RuntimeError: A request was refused or failed.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(plan["conversations"])):
        waiting.put(index)
    total = sum(len(turns) for turns in plan["conversations"])
    done: list[dict[str, Any]] = []
    failures: list[BaseException] = []

    def stream() -> None:
        try:
            with closing(_connect(plan)) as connection:
                while not failures:
                    for request in converse(connection, plan, waiting.get_nowait()):
                        done.append(request)
                        _say({"done": len(done), "total": total})
        except queue.Empty:
            return
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            failures.append(error)

    threads = [threading.Thread(target=stream) for _ in range(plan["streams"])]
    started_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"{len(done)} of {total} requests done, then: {failures[0]}")
    done.sort(key=lambda request: (request["conversation"], request["turn"]))
    return {"seconds": time.perf_counter() - started_s, "requests": done}


def converse(connection: http.client.HTTPConnection, plan: Mapping[str, Any], index: int) -> Iterator[dict[str, Any]]:
    """Play one conversation; yields each request as it is answered."""
    tokens: list[int] = []
    for turn, added in enumerate(plan["conversations"][index]):
        tokens = [*tokens, *added]
        request = ask(connection, plan, tokens, plan["output_tokens"])
        tokens = [*tokens, *request["tokens"]]
        yield {"conversation": index, "turn": turn} | request


def ask(
    connection: http.client.HTTPConnection, plan: Mapping[str, Any], prompt: list[int], output_tokens: int
) -> dict[str, Any]:
    """One streamed completion: its tokens, usage and times.

    Raises:
        RuntimeError: The server refused it, or it failed on the way.
    """
    body = {
        "model": plan["model"],
        "prompt": prompt,
        "max_tokens": output_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "return_token_ids": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {plan['api_key']}"}
    sent_s = time.perf_counter()
    connection.request("POST", "/v1/completions", json.dumps(body), headers)
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"status {response.status}: {response.read()[:500].decode(errors='replace')}")
    tokens: list[int] = []
    heard_s: list[float] = []
    usage: dict[str, Any] = {}
    for event in _events(response):
        if "error" in event:
            raise RuntimeError(event["error"]["message"])
        new = [token for choice in event["choices"] for token in choice["token_ids"]]
        tokens += new
        heard_s += [time.perf_counter()] * len(new)
        usage = event.get("usage") or usage
    return {
        "prompt_tokens": usage["prompt_tokens"],
        "cached_tokens": usage["prompt_tokens_details"]["cached_tokens"],
        "tokens": tokens,
        "first_token_s": heard_s[0] - sent_s,
        "per_token_s": (heard_s[-1] - heard_s[0]) / (len(heard_s) - 1) if len(heard_s) > 1 else None,
    }


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    while line := response.readline():
        data = line.removeprefix(b"data: ").strip()
        if data and data != b"[DONE]":
            yield json.loads(data)


def _connect(plan: Mapping[str, Any]) -> http.client.HTTPConnection:
    address = urllib.parse.urlsplit(plan["url"])
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_S)


def _say(data: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(data) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
