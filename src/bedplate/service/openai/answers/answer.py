"""The shapes of answers: in one piece, and as the events of a stream."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bedplate.service.openai.answers.logprobs import CompletionLogprobs, ScoredToken, chat_logprobs
from bedplate.service.openai.generation import TextChunk
from bedplate.service.openai.requests.planning import PlannedAnswer, PlannedChoice
from bedplate.service.openai.texts.codec import TextCodec


class Choice:
    """Builds one choice from its chunks, piece by piece.

    Args:
        index: Its place in the answer.
        plan: The planned choice.
        answer: The request that it belongs to.
        codec: The model's tokenizer.
    """

    def __init__(self, index: int, plan: PlannedChoice, answer: PlannedAnswer, codec: TextCodec) -> None:
        self._index, self._plan, self._answer, self._codec = index, plan, answer, codec
        self._num_characters = 0
        self._is_begun = False
        self.num_tokens = 0
        self.cached_tokens = 0

    def opening(self) -> dict[str, Any]:
        """The first piece of a chat: the role."""
        delta = {"role": "assistant", "content": "", "refusal": None}
        return {"index": self._index, "delta": delta, "finish_reason": None, "logprobs": None}

    def piece(self, chunk: TextChunk) -> dict[str, Any] | None:
        """What a chunk adds, for a stream; None where that is nothing."""
        choice = self._choice([chunk])
        text = choice["text"]
        if not (text or chunk.finish is not None or choice["logprobs"] is not None or choice.get("token_ids")):
            return None
        if self._answer.is_chat:
            del choice["text"]
            choice["delta"] = {"content": text} if text or chunk.finish is None else {}
        return choice

    def complete(self, chunks: Sequence[TextChunk]) -> dict[str, Any]:
        """The choice in one piece."""
        choice = self._choice(chunks)
        if self._answer.is_chat:
            choice["message"] = {"role": "assistant", "content": choice.pop("text"), "refusal": None}
        return choice

    def _choice(self, chunks: Sequence[TextChunk]) -> dict[str, Any]:
        text, scored = self._begin(chunks[0])
        for chunk in chunks:
            scored += self._scored(chunk)
            text += chunk.text
            self._num_characters += len(chunk.text)
            self.num_tokens += len(chunk.tokens)
        self.cached_tokens = chunks[-1].cached_tokens
        choice: dict[str, Any] = {
            "index": self._index,
            "text": text,
            "finish_reason": chunks[-1].finish,
            "logprobs": self._logprobs(scored),
        }
        if self._answer.with_token_ids:
            choice["token_ids"] = [token for chunk in chunks for token in chunk.tokens]
        return choice

    def _begin(self, first: TextChunk) -> tuple[str, list[ScoredToken]]:
        """What comes before the first token: the echoed prompt."""
        echo = self._plan.echo
        if self._is_begun or echo is None:
            return "", []
        self._is_begun, self._num_characters = True, len(echo.text)
        scores = first.prompt_logprobs
        if scores is None:
            return echo.text, []
        triples = zip(echo.tokens, scores, echo.offsets, strict=True)
        return echo.text, [ScoredToken(token=token, logprobs=score, offset=offset) for token, score, offset in triples]

    def _scored(self, chunk: TextChunk) -> list[ScoredToken]:
        if chunk.logprobs is None or (self._answer.is_chat and not chunk.tokens):
            return []  # a chat ends before its stop token; a completion's lists have it, as harnesses count on it
        return [ScoredToken(token=chunk.logprobs.token, logprobs=chunk.logprobs, offset=self._num_characters)]

    def _logprobs(self, scored: Sequence[ScoredToken]) -> dict[str, Any] | None:
        num_top = self._answer.num_top_logprobs
        if num_top is None or not scored:
            return None
        if self._answer.is_chat:
            return chat_logprobs(self._codec, scored)
        lists = CompletionLogprobs(num_top=num_top, codec=self._codec)
        lists.add(scored)
        return lists.as_json()


@dataclass(slots=True, kw_only=True)
class Answer:
    """Builds the answer to one request."""

    model: str
    plan: PlannedAnswer
    codec: TextCodec
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))
    choices: tuple[Choice, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.choices = tuple(Choice(index, plan, self.plan, self.codec) for index, plan in enumerate(self.plan.choices))

    def complete(self, chunks: Sequence[Sequence[TextChunk]]) -> dict[str, Any]:
        """The answer in one piece, from the chunks of each choice."""
        choices = [choice.complete(own) for choice, own in zip(self.choices, chunks, strict=True)]
        return self._frame("chat.completion" if self.plan.is_chat else "text_completion", choices) | {"usage": self.usage()}

    def event(self, *choices: dict[str, Any]) -> dict[str, Any]:
        """One event of a stream."""
        return self._frame("chat.completion.chunk" if self.plan.is_chat else "text_completion", list(choices))

    def usage(self) -> dict[str, Any]:
        """Token counts so far."""
        num_prompt = self.plan.num_prompt_tokens
        num_answer = sum(choice.num_tokens for choice in self.choices)
        pairs = zip(self.choices, self.plan.choices, strict=True)
        return {
            "prompt_tokens": num_prompt,
            "completion_tokens": num_answer,
            "total_tokens": num_prompt + num_answer,
            "prompt_tokens_details": {
                "cached_tokens": sum(choice.cached_tokens for choice, plan in pairs if plan.is_first_of_prompt)
            },
        }

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        prefix = "chatcmpl" if self.plan.is_chat else "cmpl"
        return {
            "id": f"{prefix}-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }
