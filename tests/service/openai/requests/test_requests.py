"""Bodies of requests: null is absent, what is harmless is accepted, what is unknown or unsupported is refused by name."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import openai.types.chat.completion_create_params as chat_params
import openai.types.completion_create_params as completion_params
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.service.openai.errors import ApiError
from bedplate.service.openai.requests.schema import ChatBody, CompletionBody, StreamOptions, read_body

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"where": "here"}'}}


def read_chat(**fields: Any) -> ChatBody:
    return read_body(ChatBody, json.dumps({"model": "tiny", "messages": [USER]} | fields).encode())


def read_completion(**fields: Any) -> CompletionBody:
    return read_body(CompletionBody, json.dumps({"model": "tiny", "prompt": "x"} | fields).encode())


def refusal(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read_chat(**fields)
    assert caught.value.status_code == 400
    return caught.value


def test_every_field_of_the_openai_client_may_be_null() -> None:
    chat = set(chat_params.CompletionCreateParamsBase.__annotations__) - {"model", "messages"}
    completion = set(completion_params.CompletionCreateParamsBase.__annotations__) - {"model", "prompt"}
    assert read_chat(**dict.fromkeys(chat), stream=None) == read_chat()
    assert read_completion(**dict.fromkeys(completion), stream=None) == read_completion()


def test_null_is_absent_at_any_depth() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": None, "refusal": None, "audio": None, "function_call": None}
    assert read_chat(messages=[message]).messages[0].content == ""
    assert read_chat(stream_options={"include_usage": None, "include_obfuscation": None}) == read_chat()
    assert read_chat(unheard_of=None) == read_chat()


HARMLESS: dict[str, Any] = {
    "metadata": {"run": "7"},
    "user": "me",
    "store": True,
    "service_tier": "flex",
    "parallel_tool_calls": False,
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prediction": {"type": "content", "content": "x"},
    "tools": [],
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "frequency_penalty": 0,
    "presence_penalty": 0.0,
    "logit_bias": {},
    "modalities": ["text"],
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
}


def test_the_client_may_send_what_changes_nothing(client: openai.OpenAI) -> None:
    messages: Any = [USER]
    answer = client.chat.completions.create(model="tiny", messages=messages, max_tokens=2, extra_body=HARMLESS)
    assert answer.choices[0].message.content is not None


def test_tools_that_must_not_be_called_change_nothing() -> None:
    assert read_chat(tools=[{"type": "function", "function": {"name": "f"}}], tool_choice="none") == read_chat()


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tool_choice": "required"},
        {"response_format": {"type": "json_object"}},
        {"frequency_penalty": 0.5},
        {"logit_bias": {"5": 10}},
        {"top_k": 5},
        {"top_k": True},
        {"min_p": 0.1},
        {"modalities": ["text", "audio"]},
        {"web_search_options": {}},
        {"reasoning_effort": "high"},
        {"best_of": 3},
        {"chat_template_kwargs": {"enable_thinking": False}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_would_change_the_answer_is_refused_by_name(fields: dict[str, Any]) -> None:
    error, name = refusal(**fields), next(iter(fields))
    assert (error.code, error.param) == ("unsupported_parameter", name)
    assert f"'{name}'" in error.message


def test_a_refusal_says_what_to_send_instead() -> None:
    assert refusal(tools=[{"type": "function", "function": {"name": "f"}}]).message.endswith("leave it out, or send []")
    assert refusal(web_search_options={}).message.endswith("leave it out")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"temprature": 1}, "temprature", "unknown_parameter"),
        ({"stream_options": {"usage": True}}, "stream_options.usage", "unknown_parameter"),
        ({"messages": [USER | {"mood": "good"}]}, "messages[0].mood", "unknown_parameter"),
        ({"messages": [USER | {"user": "me"}]}, "messages[0].user", "unknown_parameter"),
        ({"messages": [USER | {"tool_calls": [CALL]}]}, "messages[0].tool_calls", "unknown_parameter"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [CALL | {"speed": 1}]}]},
            "messages[0].tool_calls[0].speed",
            "unknown_parameter",
        ),
        ({"messages": [USER, {"role": "wizard", "content": "x"}]}, "messages[1].role", "invalid_value"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "missing_required_parameter"),
        ({"messages": [USER | {"content": 5}]}, "messages[0].content", "invalid_type"),
        ({"messages": [USER | {"content": [{"type": "image_url"}]}]}, "messages[0].content", "invalid_value"),
        ({"messages": [USER | {"content": [{"type": "text", "text": 1}]}]}, "messages[0].content", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": "Hi"}, "messages", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"temperature": -0.1}, "temperature", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 2.5}, "max_tokens", "invalid_type"),
        ({"n": 129}, "n", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_value"),
        ({"stop": ["x"] * 65}, "stop", "invalid_value"),
        ({"stop": [5]}, "stop[0]", "invalid_type"),
        ({"stop_token_ids": [-1]}, "stop_token_ids[0]", "invalid_value"),
        ({"seed": 2**63}, "seed", "invalid_value"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_field_is_named_with_its_path(fields: dict[str, Any], param: str, code: str) -> None:
    error = refusal(**fields)
    assert (error.param, error.code) == (param, code), error.message
    assert param in error.message


def test_a_misspelled_field_gets_the_nearest_name() -> None:
    assert "did you mean 'max_tokens'?" in refusal(max_tokns=5).message


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[" * 100_000, b'{"temperature": NaN}', b'{"model": "\\ud800"}', b"\xff", b'{"a": 1} {"b": 2}'],
    ids=["nothing", "cut", "deep", "NaN", "half a surrogate", "not UTF-8", "two"],
)
def test_what_is_not_json_is_a_400(http: httpx.Client, raw: bytes) -> None:
    answer = http.post("/v1/completions", content=raw, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("raw", [b"5", b"null", b"[]", b'"text"'])
def test_json_that_is_no_object_is_a_400(http: httpx.Client, raw: bytes) -> None:
    answer = http.post("/v1/chat/completions", content=raw, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_type")


@pytest.mark.parametrize("temperature", [5e-324, 6e-38, 1e-6, 2])
@pytest.mark.parametrize("top_p", [5e-324, 1e-9, 1])
def test_an_odd_temperature_is_answered_and_disturbs_nobody(client: openai.OpenAI, temperature: float, top_p: float) -> None:
    answer = client.completions.create(model="tiny", prompt="x", max_tokens=3, temperature=temperature, top_p=top_p)
    assert answer.choices[0].finish_reason in ("stop", "length")


def test_tool_conversations_render_as_in_transformers() -> None:
    parts = [{"type": "text", "text": "It is "}, {"type": "text", "text": "dark."}]
    body = read_chat(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": parts, "name": "Ann"},
            {"role": "assistant", "content": None, "tool_calls": [CALL | {"index": 0}]},
            {"role": "tool", "content": parts, "tool_call_id": "call_1"},
            {"role": "assistant", "content": [], "refusal": "No.", "annotations": []},
            {"role": "assistant", "tool_calls": []},
        ]
    )
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": {"where": "here"}}}
    assert [message.for_template() for message in body.messages] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "It is dark.", "name": "Ann"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "It is dark.", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "No."},
        {"role": "assistant", "content": ""},
    ]


@pytest.mark.parametrize("arguments", ["not JSON", "[1]", "5"])
def test_arguments_that_are_no_object_stay_text(arguments: str) -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": arguments}}
    message = read_chat(messages=[{"role": "assistant", "tool_calls": [call]}]).messages[0].for_template()
    assert message["tool_calls"][0]["function"]["arguments"] == arguments


def test_wrong_methods_and_paths_are_openai_errors(http: httpx.Client) -> None:
    wrong = http.get("/v1/completions")
    assert (wrong.status_code, wrong.json()["error"]["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "POST")
    unknown = http.post("/v1/embeddings", json={})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_url")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted({*ChatBody.model_fields, *CompletionBody.model_fields, *HARMLESS, "best_of", "audio"})
MESSAGE = st.dictionaries(
    st.sampled_from(["role", "content", "tool_calls", "name", "tool_call_id", "refusal"]),
    st.sampled_from(["system", "user", "assistant", "tool"]) | JSON_VALUES,
    max_size=5,
)


@given(
    st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=6),
    st.lists(MESSAGE, max_size=3) | JSON_VALUES,
)
def test_whatever_is_sent_is_read_or_refused(fields: dict[str, Any], messages: Any) -> None:
    for kind in (ChatBody, CompletionBody):
        for body in (fields, {"model": "tiny", "prompt": "x", "messages": messages} | fields, {"messages": messages}):
            try:
                read_body(kind, json.dumps(body).encode())
            except ApiError as error:
                assert error.status_code == 400
                assert error.message


def test_the_document_names_every_field() -> None:
    document = (Path(__file__).parents[4] / "docs" / "api-server.md").read_text()
    for name in {*ChatBody.model_fields, *CompletionBody.model_fields, *StreamOptions.model_fields} - {"include_obfuscation"}:
        assert f"`{name}`" in document, name


def test_the_work_of_one_request_is_bounded(http: httpx.Client) -> None:
    many = http.post("/v1/completions", json={"model": "tiny", "prompt": [[1]] * 600, "n": 2})
    assert (many.status_code, many.json()["error"]["param"]) == (400, "n")
    scores = {"model": "tiny", "prompt": [[1] * 4000] * 10, "echo": True, "logprobs": 20, "max_tokens": 1}
    answer = http.post("/v1/completions", json=scores)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "logprobs")
