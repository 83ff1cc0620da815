"""The API server through the official OpenAI client and plain HTTP, over real sockets and the real engine."""

import contextlib
import json
import re
import threading
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from bedplate.workers.serve import Server
from tests.service.openai.running import KEY, is_idle, serving, wait_for

JSON = {"Content-Type": "application/json"}
MESSAGES: Any = [{"role": "user", "content": "Say something."}]


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").id == "tiny"


def test_a_chat_is_answered_with_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=8, temperature=0)
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert answer.usage is not None
    assert 1 <= answer.usage.completion_tokens <= 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_streamed_chat_says_the_same_as_a_whole_one(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="tiny", messages=MESSAGES, max_completion_tokens=24, temperature=0)
    stream = client.chat.completions.create(
        model="tiny",
        messages=MESSAGES,
        max_completion_tokens=24,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    streamed, once = chunks[-1].usage, whole.usage
    assert streamed is not None and once is not None
    assert streamed.completion_tokens == once.completion_tokens
    assert chunks[-1].choices == []


def test_a_completion_takes_text_or_tokens(client: openai.OpenAI, server: Server) -> None:
    tokens = server.codec.encode("the river", add_special_tokens=True)
    prompts: list[Any] = ["the river", tokens, ["the river"], [tokens]]
    texts = [client.completions.create(model="tiny", prompt=prompt, temperature=0).choices[0].text for prompt in prompts]
    assert len(set(texts)) == 1


def test_a_stop_string_ends_the_answer_before_it(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "tiny", "prompt": "the river", "max_tokens": 24, "temperature": 0}
    free = client.completions.create(**ask).choices[0].text
    stop = free[len(free) // 2 : len(free) // 2 + 3]
    stopped = client.completions.create(**ask, stop=[stop, "never-in-it"])
    assert stopped.choices[0].text == free[: free.index(stop)]
    assert stopped.choices[0].finish_reason == "stop"
    streamed = "".join(chunk.choices[0].text for chunk in client.completions.create(**ask, stop=stop, stream=True))
    assert streamed == stopped.choices[0].text


def test_a_seed_makes_sampling_reproducible(client: openai.OpenAI) -> None:
    def sample(seed: int) -> str:
        answer = client.completions.create(model="tiny", prompt="the", temperature=1.5, top_p=0.95, seed=seed, max_tokens=16)
        return answer.choices[0].text

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(4)}) > 1


def test_what_was_loaded_from_memory_is_in_the_usage(client: openai.OpenAI) -> None:
    cached = []
    for _ in range(2):
        usage = client.completions.create(model="tiny", prompt=[7] * 200, max_tokens=1).usage
        assert usage is not None and usage.prompt_tokens_details is not None
        cached.append(usage.prompt_tokens_details.cached_tokens)
    assert cached == [0, 192]


@pytest.mark.parametrize("key", ["wrong", "", "a-key-for-test"])
def test_without_the_key_nobody_comes_in(server: Server, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/completions"), ("POST", "/v1/chat/completions")):
        answer = httpx.request(method, f"{server.url}{path}", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert KEY not in answer.text
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="other", max_retries=0).models.list()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 0}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"logprobs": 21}, "logprobs"),
        ({"max_tokns": 5}, "max_tokns"),
        ({"prompt": ["one", [2]]}, "prompt"),
        ({"prompt": []}, "empty"),
        ({"prompt": [99999]}, "not a token"),
        ({"max_tokens": 100_000}, "context"),
    ],
    ids=lambda value: json.dumps(value)[:30] if isinstance(value, dict) else "",
)
def test_what_cannot_be_done_is_refused_by_name(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    answer = http.post("/v1/completions", json={"model": "tiny", "prompt": "x"} | change)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_broken_json_another_model_and_a_wrong_path_are_told_apart(http: httpx.Client) -> None:
    assert http.post("/v1/completions", content=b"{", headers=JSON).status_code == 400
    other = http.post("/v1/completions", json={"model": "gpt", "prompt": "x"})
    assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")
    assert http.get("/v1/nothing").json()["error"]["message"]


def test_pictures_are_refused(client: openai.OpenAI) -> None:
    picture: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="tiny", messages=picture)


def test_a_body_over_the_limit_is_refused(http: httpx.Client) -> None:
    answer = http.post("/v1/completions", json={"model": "tiny", "prompt": "x" * 300_000})
    assert answer.status_code == 413


def test_a_full_queue_is_a_429_that_says_when_to_come_back(http: httpx.Client, server: Server) -> None:
    body = {"model": "tiny", "prompt": "x", "max_tokens": 3000, "stream": True, "ignore_eos": True}
    with contextlib.ExitStack() as open_streams:
        for number in range(4):
            stream = open_streams.enter_context(http.stream("POST", "/v1/completions", json=body))
            assert stream.status_code == 200
            wait_for(partial(occupies, server, min(number + 1, 2), max(0, number - 1)))
        answer = http.post("/v1/completions", json=body)
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["error"]["type"] == "rate_limit_error"
    wait_for(lambda: is_idle(server.engine))


def test_a_prompt_over_the_context_has_its_own_code(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=100_000)
    assert caught.value.code == "context_length_exceeded"


def test_a_closed_engine_is_a_503(tiny_model: Path) -> None:
    with serving(tiny_model) as server:
        server.engine.close()
        assert httpx.get(f"{server.url}/health").status_code == 503
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = httpx.post(f"{server.url}/v1/completions", json={"model": "tiny", "prompt": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_unavailable")


def occupies(server: Server, running: int, queued: int) -> bool:
    now = server.engine.statistics()
    return (now.running, now.queued) == (running, queued)


@pytest.mark.parametrize("stream", [True, False], ids=["streaming", "whole"])
def test_a_client_that_goes_away_stops_the_work(server: Server, stream: bool) -> None:
    body = {"model": "tiny", "prompt": "x", "max_tokens": 3000, "stream": stream, "ignore_eos": True}
    headers = {"Authorization": f"Bearer {KEY}"}
    if stream:
        with httpx.stream("POST", f"{server.url}/v1/completions", json=body, headers=headers, timeout=30) as answer:
            next(answer.iter_lines())
    else:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/v1/completions", json=body, headers=headers, timeout=0.3)
    generated = server.engine.statistics().generated_tokens
    wait_for(lambda: is_idle(server.engine))
    assert server.engine.statistics().generated_tokens < generated + 1000


def test_many_requests_at_once_get_the_answers_they_get_alone(tiny_model: Path) -> None:
    with serving(tiny_model) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)

        def ask(seed: int) -> str:
            prompt = [(seed * 31 + place) % 2000 for place in range(40 + 60 * seed)]
            return client.completions.create(model="tiny", prompt=prompt, temperature=0, max_tokens=16).choices[0].text

        alone = [ask(seed) for seed in range(6)]
        together: dict[int, str] = {}
        threads = [threading.Thread(target=lambda seed=seed: together.update({seed: ask(seed)})) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [together[seed] for seed in range(6)] == alone


def test_metrics_count_what_happened(http: httpx.Client, client: openai.OpenAI) -> None:
    before = metric(http, "bedplate_time_to_first_token_seconds_count")
    client.completions.create(model="tiny", prompt="x", max_tokens=3, extra_body={"ignore_eos": True})
    assert metric(http, "bedplate_time_to_first_token_seconds_count") == before + 1
    assert metric(http, "bedplate_time_per_output_token_seconds_count") >= 2
    assert metric(http, "bedplate_cached_prompt_tokens_total") >= 0
    assert metric(http, "bedplate_requests_running") == 0


def metric(http: httpx.Client, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", http.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_a_request_over_its_time_is_a_504(tiny_model: Path) -> None:
    with serving(tiny_model, request_timeout=0.3) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)
        with pytest.raises(openai.InternalServerError) as caught:
            client.completions.create(model="tiny", prompt="x", max_tokens=4000, extra_body={"ignore_eos": True})
        assert caught.value.status_code == 504


def test_the_time_of_a_request_covers_all_its_choices(tiny_model: Path) -> None:
    with serving(tiny_model, request_timeout=1.0, parallel_choices=1) as server:
        body = {"model": "tiny", "prompt": [[number] for number in range(1000)], "max_tokens": 200, "ignore_eos": True}
        answer = httpx.post(f"{server.url}/v1/completions", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "in one piece"])
def test_an_internal_fault_is_an_error_that_reveals_nothing(
    tiny_model: Path, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tiny_model) as server:
        monkeypatch.setattr(server.codec, "token_bytes", None)
        body = {"model": "tiny", "prompt": "x", "logprobs": 1, "max_tokens": 2, "stream": stream}
        answer = httpx.post(f"{server.url}/v1/completions", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
        events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
        wait_for(lambda: is_idle(server.engine))
    assert answer.status_code == (200 if stream else 500)
    assert json.loads(events[-1])["error"] == {
        "message": "the server failed on this request: TypeError",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
