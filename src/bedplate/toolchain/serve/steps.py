"""What a turn of the engine computes: prefill chunks and decode steps, with one outcome for each row.

An error ends the row that it belongs to and no other: choosing a token is guarded row by row, and a decode step that fails
is run again row by row, which gives the same bits. The KV store only saves time, so when it fails, prompts are computed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bedplate.core.generation import TokenLogprobs
from bedplate.toolchain.serve.logprobs import prompt_logprobs, token_logprobs
from bedplate.toolchain.serve.prefix import PrefixMemory
from bedplate.toolchain.serve.runner import ModelRunner
from bedplate.toolchain.serve.sequence import Sequence

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one row of a step."""

    token: int | None = None
    """The token that was chosen; None with an error, and where a prompt was only to be scored."""
    logprobs: TokenLogprobs | None = None
    """Of the token, where the request wants them."""
    error: Exception | None = None
    """What ended this row. Its slot may hold NaN."""


class Steps:
    """Computes steps for sequences that have a slot. Used by the scheduler thread, under `torch.inference_mode()`.

    Args:
        runner: The model.
        max_batch: Rows of a decode step.
        chunk_tokens: Tokens of a prefill step.
        memory: Long memory for prompts; None computes every prompt.
    """

    def __init__(self, runner: ModelRunner, max_batch: int, chunk_tokens: int, memory: PrefixMemory | None) -> None:
        self.runner, self.memory = runner, memory
        self._max_batch, self._chunk_tokens = max_batch, chunk_tokens

    def prefill(self, sequence: Sequence) -> Outcome | None:
        """Compute the next chunk of a prompt; the outcome of its last one, None before."""
        try:
            return self._prefill(sequence)
        except Exception as error:
            _log.exception("prefill of request %s failed", sequence.request.id)
            return Outcome(error=error)

    def _prefill(self, sequence: Sequence) -> Outcome | None:
        prompt, chunk = sequence.request.prompt, self._chunk_tokens
        assert sequence.slot is not None
        if sequence.keys is None:
            self._recall(sequence)
        start = sequence.num_prefilled
        tokens = prompt[start : start + chunk]
        hidden_CD = self.runner.prefill(sequence.slot, start, tokens)
        sequence.num_prefilled += len(tokens)
        if len(tokens) == chunk:
            self._save(sequence, start // chunk)
        if sequence.prompt_logprobs is not None and sequence.request.prompt_logprobs is not None:
            predicted = prompt[start + 1 : start + chunk + 1]
            logits_CV = self.runner.chunk_logits(hidden_CD)
            sequence.prompt_logprobs += prompt_logprobs(logits_CV, predicted, sequence.request.prompt_logprobs)
        if not sequence.is_prefilled:
            return None
        if sequence.request.max_new_tokens == 0:
            return Outcome()
        return self.choose(sequence, self.runner.logits(hidden_CD, len(tokens) - 1))

    def _recall(self, sequence: Sequence) -> None:
        """Take the prompt's first chunks from the KV store, unless their log-probabilities are wanted."""
        sequence.keys = []
        if self.memory is None:
            return
        prompt, slot = sequence.request.prompt, sequence.slot
        assert slot is not None
        try:
            sequence.keys = self.memory.keys(prompt, sequence.request.tenant)
            if sequence.request.prompt_logprobs is None:
                sequence.cached_tokens = self.memory.load(sequence.keys, len(prompt), slot)
                sequence.num_prefilled = sequence.cached_tokens
        except Exception:
            _log.exception("the KV store failed; the prompt of request %s is computed", sequence.request.id)

    def _save(self, sequence: Sequence, block: int) -> None:
        if self.memory is None or not sequence.keys or sequence.slot is None:
            return
        try:
            self.memory.save(sequence.keys[: block + 1], sequence.slot)
        except Exception:
            _log.exception("the KV store failed; a block of request %s is not kept", sequence.request.id)

    def decode(self, rows: Mapping[int, Sequence]) -> dict[int, Outcome]:
        """Compute one token for each sequence, given by its slot; at least one."""
        try:
            logits_MV = self._decode(rows)
        except Exception as error:
            _log.exception("a decode step of %d rows failed", len(rows))
            if len(rows) == 1:
                return dict.fromkeys(rows, Outcome(error=error))
            return {slot: self.decode({slot: sequence})[slot] for slot, sequence in rows.items()}
        return {slot: self.choose(sequence, logits_MV[slot]) for slot, sequence in rows.items()}

    def _decode(self, rows: Mapping[int, Sequence]) -> Tensor:
        slots = range(self._max_batch)
        tokens = [rows[slot].generated[-1] if slot in rows else None for slot in slots]
        positions = [rows[slot].next_position if slot in rows else 0 for slot in slots]
        return self.runner.decode(tokens, positions)

    def choose(self, sequence: Sequence, logits_V: Tensor) -> Outcome:
        """The next token; scores that are not finite are an error of this row."""
        try:
            if not bool(torch.isfinite(logits_V.max())):
                raise ValueError("the model's scores are not finite; its weights or its input are damaged")
            token = sequence.sampler.choose(logits_V)
            num_top = sequence.request.logprobs
            return Outcome(token=token, logprobs=None if num_top is None else token_logprobs(logits_V, token, num_top))
        except Exception as error:
            _log.exception("choosing a token of request %s failed", sequence.request.id)
            return Outcome(error=error)
