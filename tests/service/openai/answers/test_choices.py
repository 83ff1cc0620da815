"""Several prompts, several choices, echo and log-probabilities, as evaluation harnesses and the OpenAI client ask for them."""

import asyncio
import itertools
import json
import math
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from bedplate.toolchain.serve.settings import EngineSettings
from bedplate.workers.serve import Server
from tests.service.openai.running import KEY, is_idle, serving, wait_for

PROMPTS = ["the river", "every stone", "a tree — 河"]


def complete(client: openai.OpenAI, **words: Any) -> Any:
    ask: dict[str, Any] = {"model": "tiny", "temperature": 0, "max_tokens": 4} | words
    return client.completions.create(**ask)


def test_prompts_of_a_list_are_answered_as_if_alone(client: openai.OpenAI, server: Server) -> None:
    alone = [complete(client, prompt=prompt) for prompt in PROMPTS]
    tokens = [server.codec.encode(prompt, add_special_tokens=True) for prompt in PROMPTS]
    for together in (complete(client, prompt=PROMPTS), complete(client, prompt=tokens)):
        assert [choice.text for choice in together.choices] == [answer.choices[0].text for answer in alone]
        assert [choice.index for choice in together.choices] == [0, 1, 2]
        assert together.usage.prompt_tokens == sum(answer.usage.prompt_tokens for answer in alone)
        assert together.usage.completion_tokens == sum(answer.usage.completion_tokens for answer in alone)


def test_choices_come_in_order_and_the_prompt_counts_once(client: openai.OpenAI) -> None:
    answer = complete(client, prompt=PROMPTS[:2], n=3, temperature=1.5, seed=7, max_tokens=12)
    texts = [choice.text for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == list(range(6))
    assert len(set(texts[:3])) > 1
    assert texts == [
        choice.text for choice in complete(client, prompt=PROMPTS[:2], n=3, temperature=1.5, seed=7, max_tokens=12).choices
    ]
    assert answer.usage.prompt_tokens == complete(client, prompt=PROMPTS[:2]).usage.prompt_tokens


def test_a_chat_has_n_choices_also_in_a_stream(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "n": 2, "seed": 3, "max_tokens": 6}
    complete_answer = client.chat.completions.create(**ask)
    streamed = {0: "", 1: ""}
    roles = []
    for chunk in client.chat.completions.create(**ask, stream=True):
        for choice in chunk.choices:
            roles += [choice.delta.role] if choice.delta.role else []
            streamed[choice.index] += choice.delta.content or ""
    assert roles == ["assistant", "assistant"]
    assert streamed == {choice.index: choice.message.content for choice in complete_answer.choices}


def test_more_prompts_than_the_queue_takes_are_answered(tiny_model: Path) -> None:
    with serving(tiny_model, engine=EngineSettings(max_batch=2, queue_size=1), parallel_choices=8) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)
        answer = complete(client, prompt=[[1 + number] for number in range(20)])
        assert [choice.index for choice in answer.choices] == list(range(20))
        streamed = [choice.index for chunk in complete(client, prompt=PROMPTS * 3, stream=True) for choice in chunk.choices]
        assert set(streamed) == set(range(9))
        assert is_idle(server.engine)


def test_requests_with_several_prompts_leave_the_queue_to_each_other(tiny_model: Path) -> None:
    """lm-evaluation-harness sends 32 requests of 4 prompts at once; a queue of 64 refused some of them, which ended its run."""
    with serving(tiny_model, engine=EngineSettings(max_batch=2, queue_size=7), parallel_choices=2) as server:
        client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)

        async def answers() -> list[Any]:
            words: dict[str, Any] = {"model": "tiny", "max_tokens": 64, "extra_body": {"ignore_eos": True}}
            requests = [client.completions.create(prompt=["a", "b", "c", "d"], **words) for _ in range(6)]
            return await asyncio.gather(*requests)

        assert [len(answer.choices) for answer in asyncio.run(answers())] == [4] * 6


def test_one_prompt_that_does_not_fit_refuses_them_all(http: httpx.Client, server: Server) -> None:
    finished = server.engine.statistics().finished
    body = {"model": "tiny", "prompt": [[1], [2], [3] * 5000], "stream": True}
    answer = http.post("/v1/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert server.engine.statistics().finished == finished


def test_a_token_outside_the_vocabulary_ends_the_other_choices(http: httpx.Client, server: Server) -> None:
    answer = http.post("/v1/completions", json={"model": "tiny", "prompt": [[1], [99_999]], "max_tokens": 3000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_value")
    wait_for(lambda: is_idle(server.engine))


def test_echo_repeats_the_prompt_with_its_log_probabilities(client: openai.OpenAI, server: Server) -> None:
    choice = complete(client, prompt=PROMPTS[2], echo=True, logprobs=2, max_tokens=3).choices[0]
    scores, prompt = choice.logprobs, server.codec.encode(PROMPTS[2], add_special_tokens=True)
    assert choice.text.startswith(PROMPTS[2])
    assert len(scores.tokens) == len(scores.token_logprobs) == len(scores.top_logprobs) == len(scores.text_offset)
    assert len(scores.tokens) == len(prompt) + 3
    assert (scores.token_logprobs[0], scores.top_logprobs[0]) == (None, None)
    assert all(value <= 0 for value in scores.token_logprobs[1:])
    for place, (name, top) in enumerate(zip(scores.tokens, scores.top_logprobs, strict=True)):
        if top is not None:
            assert top[name] == scores.token_logprobs[place]
            assert 2 <= len(top) <= 3
            assert list(top.values())[:2] == sorted(top.values(), reverse=True)[:2]
        if not name.startswith("bytes:"):
            assert choice.text[scores.text_offset[place] :].startswith(name)


@pytest.mark.parametrize("max_tokens", [0, 1])
def test_an_evaluation_harness_can_score_continuations(http: httpx.Client, server: Server, max_tokens: int) -> None:
    """The request and the arithmetic of lm-evaluation-harness's `local-completions`."""

    def score(contexts: list[list[int]], continuations: list[list[int]]) -> list[tuple[float, bool]]:
        prompts = [context + continuation for context, continuation in zip(contexts, continuations, strict=True)]
        body = {"model": "tiny", "prompt": prompts, "temperature": 0, "max_tokens": max_tokens, "logprobs": 1, "seed": 1234}
        answer = http.post("/v1/completions", json=body | {"echo": True})
        assert answer.status_code == 200, answer.text
        scored = []
        for choice, context, prompt in zip(answer.json()["choices"], contexts, prompts, strict=True):
            end = len(choice["logprobs"]["token_logprobs"]) - max_tokens
            assert end == len(prompt)
            values = choice["logprobs"]["token_logprobs"][len(context) : end]
            tops = choice["logprobs"]["top_logprobs"][len(context) : end]
            scored.append((sum(values), all(value == max(top.values()) for value, top in zip(values, tops, strict=True))))
        return scored

    context = server.codec.encode("the river", add_special_tokens=True)
    body = {"model": "tiny", "prompt": context, "temperature": 0, "max_tokens": 3, "ignore_eos": True, "return_token_ids": True}
    greedy = http.post("/v1/completions", json=body).json()["choices"][0]["token_ids"]
    other = [(token + 1) % 2000 + 3 for token in greedy]
    (greedy_score, is_greedy), (other_score, other_is_greedy) = score([context] * 2, [greedy, other])
    assert (is_greedy, other_is_greedy) == (True, False)
    assert greedy_score > other_score
    (alone, _), (longer, _) = score([context, context[:1]], [greedy, context[1:] + greedy])
    assert math.isclose(alone, greedy_score, abs_tol=0.05)
    assert longer < alone


def test_a_stop_token_has_its_log_probability(http: httpx.Client, server: Server) -> None:
    """A harness cuts one entry from the end; without one for the stop token it would cut a token of the prompt."""
    body = {"model": "tiny", "prompt": "the river", "temperature": 0, "max_tokens": 1}
    first = http.post("/v1/completions", json=body | {"return_token_ids": True}).json()["choices"][0]["token_ids"][0]
    answer = http.post("/v1/completions", json=body | {"stop_token_ids": [first], "echo": True, "logprobs": 1}).json()
    choice, prompt = answer["choices"][0], server.codec.encode("the river", add_special_tokens=True)
    assert (choice["text"], choice["finish_reason"]) == ("the river", "stop")
    assert len(choice["logprobs"]["token_logprobs"]) == len(prompt) + 1
    assert answer["usage"]["completion_tokens"] == 0


def test_echo_without_new_tokens_gives_the_prompt_back(client: openai.OpenAI, server: Server) -> None:
    choice = complete(client, prompt=PROMPTS[0], echo=True, max_tokens=0).choices[0]
    assert (choice.text, choice.finish_reason, choice.logprobs) == (PROMPTS[0], "length", None)
    tokens = server.codec.encode(PROMPTS[2], add_special_tokens=True)
    assert complete(client, prompt=tokens, echo=True, max_tokens=0).choices[0].text == PROMPTS[2]


@pytest.mark.parametrize("echo", [False, True])
def test_a_streamed_completion_has_the_same_text_and_scores(client: openai.OpenAI, echo: bool) -> None:
    ask = {"prompt": PROMPTS[:2], "logprobs": 2, "echo": echo, "max_tokens": 12}
    at_once = complete(client, **ask)
    chunks = [choice for chunk in complete(client, **ask, stream=True) for choice in chunk.choices]
    for choice in at_once.choices:
        own = [chunk for chunk in chunks if chunk.index == choice.index]
        assert "".join(chunk.text for chunk in own) == choice.text
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            parts = [getattr(chunk.logprobs, name) for chunk in own if chunk.logprobs is not None]
            assert list(itertools.chain.from_iterable(parts)) == getattr(choice.logprobs, name)


def test_a_chat_has_log_probabilities_in_the_shape_of_chats(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "max_tokens": 5}
    ask |= {"logprobs": True, "top_logprobs": 3}
    choice = client.chat.completions.create(**ask).choices[0]
    assert choice.logprobs is not None and choice.logprobs.content is not None
    assert (
        b"".join(bytes(item.bytes or []) for item in choice.logprobs.content).decode(errors="replace") == choice.message.content
    )
    for item in choice.logprobs.content:
        assert len(item.top_logprobs) == 3
        assert (item.token, item.logprob) == (item.top_logprobs[0].token, item.top_logprobs[0].logprob)
    streamed = [
        item.model_dump()
        for chunk in client.chat.completions.create(**ask, stream=True)
        for item in (chunk.choices[0].logprobs.content or [] if chunk.choices[0].logprobs else [])
    ]
    assert streamed == [item.model_dump() for item in choice.logprobs.content]


def test_a_chat_without_alternatives_has_empty_ones(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "Hi"}]
    choice = client.chat.completions.create(model="tiny", messages=messages, max_tokens=2, logprobs=True).choices[0]
    assert choice.logprobs is not None and choice.logprobs.content is not None
    assert [item.top_logprobs for item in choice.logprobs.content] == [[]] * len(choice.logprobs.content)


def test_usage_in_a_stream_is_null_until_the_end(http: httpx.Client) -> None:
    body = {"model": "tiny", "prompt": "x", "max_tokens": 3, "stream": True, "stream_options": {"include_usage": True}}
    events = [line.removeprefix("data: ") for line in http.post("/v1/completions", json=body).text.splitlines() if line]
    assert events[-1] == "[DONE]"
    usages = [json.loads(event)["usage"] for event in events[:-1]]
    assert usages[:-1] == [None] * (len(usages) - 1)
    assert usages[-1]["prompt_tokens"] >= 1
