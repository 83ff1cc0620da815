"""From a checked body to the engine's request: tokens, limits, and the part of the prompt that belongs to the answer.

All of it may take long for a long prompt, so it runs in a thread. What is surely too long is refused by its size before
anything is encoded: a context of 8,192 tokens is known to be too short for 7 MB in no time, but only after 13 s of encoding.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bedplate.core.generation import GenerationRequest
from bedplate.service.openai.errors import bad_request
from bedplate.service.openai.requests.prompts import Prompt
from bedplate.service.openai.requests.schema import ChatBody, CompletionBody, GenerationBody
from bedplate.service.openai.settings import ServerSettings
from bedplate.service.openai.texts.chat import ChatTemplate
from bedplate.service.openai.texts.codec import TextCodec
from bedplate.service.openai.texts.detokenise import TextStream

_NORMALISER_SLACK = 4
"""A tokenizer may shorten a text before it looks at it (composed characters, blanks), but not by more than this factor."""

MAX_CHOICES = 1024
"""Prompts times `n`."""
MAX_PROMPT_SCORES = 500_000
"""Log-probabilities of prompt tokens in one answer; each takes some 200 bytes until the answer is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoedPrompt:
    """A prompt that is repeated at the start of its answer."""

    text: str
    tokens: tuple[int, ...]
    offsets: tuple[int, ...]
    """Characters of `text` before each token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChoice:
    """One choice of the answer."""

    request: GenerationRequest
    is_first_of_prompt: bool
    """Whether its prompt counts in `usage`: `n` choices share one."""
    echo: EchoedPrompt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAnswer:
    """All that one HTTP request asks for."""

    choices: tuple[PlannedChoice, ...]
    stop: tuple[str, ...]
    is_chat: bool
    num_top_logprobs: int | None
    """None: no log-probabilities."""
    with_token_ids: bool

    @property
    def num_prompt_tokens(self) -> int:
        """Of all prompts, each counted once."""
        return sum(len(choice.request.prompt) for choice in self.choices if choice.is_first_of_prompt)


class Planner:
    """Plans answers. Thread-safe."""

    def __init__(self, codec: TextCodec, template: ChatTemplate, settings: ServerSettings) -> None:
        self._codec, self._template, self._settings = codec, template, settings

    def completion(self, body: CompletionBody) -> PlannedAnswer:
        """Every prompt, `n` times.

        Raises:
            ApiError: A prompt does not fit the context (400).
        """
        choices: list[PlannedChoice] = []
        if len(body.prompt) * body.n > MAX_CHOICES:
            seen = f"{len(body.prompt)} prompts and n={body.n}"
            raise bad_request(f"at most {MAX_CHOICES} choices in a request; {seen} are more", "n", "invalid_value")
        for prompt in body.prompt:
            tokens = self._prompt_tokens(prompt, body)
            self._check_context(len(tokens), body.max_tokens)
            echo = self._echo(prompt, tokens) if body.echo else None
            wants_scores = body.echo and body.logprobs is not None
            prompt_logprobs = body.logprobs if wants_scores else 0 if body.max_tokens == 0 else None
            choices += self._choices(body, tokens, body.max_tokens, body.logprobs, prompt_logprobs, echo)
            _check_amount(choices)
        return PlannedAnswer(
            choices=tuple(choices),
            stop=body.stop_strings,
            is_chat=False,
            num_top_logprobs=body.logprobs,
            with_token_ids=body.return_token_ids,
        )

    def chat(self, body: ChatBody) -> PlannedAnswer:
        """The conversation, `n` times; without a limit an answer may take the rest of the context.

        Raises:
            ApiError: The template refuses the messages, or they do not fit the context (400).
        """
        messages = [message.for_template() for message in body.messages]
        self._check_size(_num_characters(messages))
        tokens = tuple(self._template.encode(messages))
        rest = max(1, self._settings.context_tokens - len(tokens))
        max_tokens = body.max_completion_tokens or body.max_tokens or rest
        self._check_context(len(tokens), max_tokens)
        num_logprobs = body.top_logprobs if body.logprobs else None
        return PlannedAnswer(
            choices=tuple(self._choices(body, tokens, max_tokens, num_logprobs)),
            stop=body.stop_strings,
            is_chat=True,
            num_top_logprobs=num_logprobs,
            with_token_ids=body.return_token_ids,
        )

    def _choices(
        self,
        body: GenerationBody,
        prompt: tuple[int, ...],
        max_tokens: int,
        logprobs: int | None,
        prompt_logprobs: int | None = None,
        echo: EchoedPrompt | None = None,
    ) -> Sequence[PlannedChoice]:
        end_tokens = () if body.ignore_eos else self._codec.stop_tokens
        return [
            PlannedChoice(
                request=GenerationRequest(
                    id=uuid.uuid4().hex,
                    prompt=prompt,
                    max_new_tokens=max_tokens,
                    sampling=body.sampling(number),
                    stop_tokens=(*end_tokens, *body.stop_token_ids),
                    deadline_s=self._settings.request_timeout,
                    logprobs=logprobs,
                    prompt_logprobs=prompt_logprobs,
                ),
                is_first_of_prompt=number == 0,
                echo=echo,
            )
            for number in range(body.n)
        ]

    def _prompt_tokens(self, prompt: Prompt, body: CompletionBody) -> tuple[int, ...]:
        if not isinstance(prompt, str):
            return prompt
        self._check_size(len(prompt.encode()))
        control_tokens = self._settings.control_tokens != "never"
        return tuple(self._codec.encode(prompt, add_special_tokens=body.add_special_tokens, control_tokens=control_tokens))

    def _echo(self, prompt: Prompt, tokens: tuple[int, ...]) -> EchoedPrompt:
        stream, decoded, offsets = TextStream(self._codec), "", []
        for token in tokens:
            offsets.append(len(decoded))
            decoded += stream.add(token)
        text = prompt if isinstance(prompt, str) else decoded + stream.finish()
        return EchoedPrompt(text=text, tokens=tokens, offsets=tuple(offsets))

    def _check_size(self, num_bytes: int) -> None:
        limit = self._settings.context_tokens * self._codec.max_token_bytes * _NORMALISER_SLACK
        if num_bytes > limit:
            self._refuse_length(f"{num_bytes} bytes of text are more than")

    def _check_context(self, num_tokens: int, max_tokens: int) -> None:
        if num_tokens + max_tokens > self._settings.context_tokens:
            self._refuse_length(f"{num_tokens} tokens of the prompt and {max_tokens} of the answer are more than")

    def _refuse_length(self, seen: str) -> None:
        context = self._settings.context_tokens
        message = f"this model's context is {context} tokens; {seen} that: shorten the prompt or ask for fewer tokens"
        raise bad_request(message, code="context_length_exceeded")


def _check_amount(choices: Sequence[PlannedChoice]) -> None:
    num_scores = sum(
        len(choice.request.prompt) * (1 + choice.request.prompt_logprobs)
        for choice in choices
        if choice.request.prompt_logprobs is not None
    )
    if num_scores > MAX_PROMPT_SCORES:
        message = f"more than {MAX_PROMPT_SCORES} log-probabilities of prompts: send fewer prompts in a request"
        raise bad_request(message, "logprobs", "invalid_value")


def _num_characters(value: Any) -> int:
    """Of all texts in JSON: at most the bytes that a prompt with them has."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_num_characters(item) for item in value.values())
    return sum(_num_characters(item) for item in value) if isinstance(value, list) else 0
