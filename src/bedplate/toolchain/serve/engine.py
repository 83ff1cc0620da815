"""The built-in engine: one scheduler thread, continuous batching, chunked prefill.

Each turn of the loop: admit what fits, prefill some chunks of the oldest unfinished prompt, then decode one token of every
running row together (Yu et al. 2022, Orca; Agrawal et al. 2023, chunked prefill). A prompt is prefilled alone and
decoding rows are padded to a fixed number, see `decoder.py` for why.

An error ends the request that it belongs to and no other: choosing a token is guarded row by row, and a decode step that
fails as one is run again row by row, which gives the same bits. The KV store only saves time, so when it fails, prompts are
computed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from bedplate.core.blocks import KVBlockStore, KVNamespace
from bedplate.core.errors import IntegrityError, QueueFullError, UnavailableError
from bedplate.core.generation import (
    FinishReason,
    GeneratedToken,
    GenerationRequest,
    GenerationStatistics,
)
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.serve.admission import check_request, fitting_context
from bedplate.toolchain.serve.decoder import SlotDecoder
from bedplate.toolchain.serve.logprobs import prompt_logprobs, token_logprobs
from bedplate.toolchain.serve.prefix import PrefixMemory
from bedplate.toolchain.serve.runner import ModelRunner
from bedplate.toolchain.serve.sequence import Sequence, TokenStream
from bedplate.toolchain.serve.settings import EngineSettings
from bedplate.toolchain.serve.slots import KVSlots, SlotShape

_log = logging.getLogger(__name__)


class BuiltInEngine:
    """A `core.generation.GenerationEngine` on torch.

    Args:
        model: The weights, in the dtype to serve in.
        settings: See `EngineSettings`.
        store: Long memory for prompt KV; None computes every prompt.
        namespace: What the KV blocks depend on; needed with a store.

    Raises:
        ResourcesError: `kv_memory` does not hold `max_batch` sequences of the shortest useful length.
    """

    def __init__(
        self,
        model: Llama,
        settings: EngineSettings | None = None,
        store: KVBlockStore | None = None,
        namespace: KVNamespace | None = None,
    ) -> None:
        self.settings = settings or EngineSettings()
        dtype = model.model.norm.weight.dtype
        self.context_tokens = fitting_context(model.config, dtype, self.settings)
        self.vocab_size = model.config.vocab_size
        self._slots = KVSlots(SlotShape.of(model.config, dtype, self.settings.max_batch, self.context_tokens))
        self._runner: ModelRunner = SlotDecoder(model, self._slots, self.settings.chunk_tokens, self.settings.max_batch)
        self._memory = None
        if store is not None:
            assert namespace is not None and namespace.block_tokens == self.settings.chunk_tokens
            self._memory = PrefixMemory(store, namespace, self._slots)
        self._lock = threading.Condition()
        self._waiting: deque[Sequence] = deque()
        self._running: dict[int, Sequence] = {}
        self._counters = GenerationStatistics()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="bedplate-engine", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest) -> Iterator[GeneratedToken]:
        """See `GenerationEngine.submit`."""
        check_request(request, self.context_tokens, self.vocab_size)
        sequence = Sequence(request)
        with self._lock:
            if self._is_closing:
                raise UnavailableError("the engine is shutting down", next_step="try again when it has been restarted")
            if len(self._waiting) >= self.settings.queue_size:
                raise QueueFullError(
                    "the engine's queue is full",
                    seen=f"{len(self._waiting)} requests waiting",
                    expected=f"fewer than {self.settings.queue_size}",
                    next_step="try again in a second, or start the server with a longer queue",
                )
            self._waiting.append(sequence)
            self._lock.notify()
        return TokenStream(sequence, self._wake)

    def cancel(self, request_id: str) -> None:
        """See `GenerationEngine.cancel`."""
        with self._lock:
            for sequence in (*self._waiting, *self._running.values()):
                if sequence.request.id == request_id:
                    sequence.cancelled.set()
            self._lock.notify()

    def statistics(self) -> GenerationStatistics:
        """Counters; KV blocks are chunks of running sequences."""
        with self._lock:
            chunk = self.settings.chunk_tokens
            used = [sequence.num_prefilled + len(sequence.generated) for sequence in self._running.values()]
            return replace(
                self._counters,
                is_open=not self._is_closing,
                running=len(self._running),
                queued=len(self._waiting),
                kv_blocks_used=sum(-(-tokens // chunk) for tokens in used),
                kv_blocks_total=self.settings.max_batch * self._slots.shape.slot_tokens // chunk,
            )

    def close(self) -> None:
        """Cancel what runs, end the scheduler thread. Calling it twice is fine."""
        with self._lock:
            self._is_closing = True
            self._lock.notify()
        self._thread.join()

    def _wake(self) -> None:
        with self._lock:
            self._lock.notify()

    def _work(self) -> None:
        try:
            with torch.inference_mode():
                while self._wait_for_work():
                    self._drop_expired()
                    self._admit()
                    self._prefill()
                    self._decode()
        finally:
            self._end_all()

    def _end_all(self) -> None:
        with self._lock:
            self._is_closing = True
            for sequence in (*self._waiting, *self._running.values()):
                sequence.end(FinishReason.CANCELLED, "the engine was shut down")
            self._waiting.clear()
            self._running.clear()

    def check_integrity(self) -> None:
        """Hold the engine's state to its invariants; O(slots). Also done whenever the engine becomes idle.

        Raises:
            IntegrityError: A KV slot was lost or given away twice: a bug in the engine.
        """
        with self._lock:
            self._slots.check_integrity(self._running)

    def _wait_for_work(self) -> bool:
        with self._lock:
            if not self._running:
                self._check_idle()
            while not (self._waiting or self._running or self._is_closing):
                self._lock.wait()
            return not self._is_closing

    def _check_idle(self) -> None:
        """A slot that was lost would be lost for good: it is reported, and all are taken back."""
        try:
            self._slots.check_integrity(self._running)
        except IntegrityError:
            _log.exception("the engine's state is inconsistent; its slots are taken back")
            self._slots.reclaim_all()

    def _drop_expired(self) -> None:
        now_s = time.monotonic()
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            for sequence in waiting:
                if (reason := sequence.why_ended(now_s)) is not None:
                    sequence.end(reason)
                    self._count(finished=1)
                else:
                    self._waiting.append(sequence)
        for sequence in list(self._running.values()):
            if (reason := sequence.why_ended(now_s)) is not None:
                sequence.end(reason)
                self._leave(sequence)

    def _admit(self) -> None:
        with self._lock:
            while self._waiting and self._slots.num_free:
                sequence = self._waiting.popleft()
                sequence.slot = self._slots.take()
                self._running[sequence.slot] = sequence

    def _prefill(self) -> None:
        oldest = next((sequence for sequence in self._running.values() if not sequence.is_prefilled), None)
        for _ in range(self.settings.chunks_per_step):
            if oldest is None or oldest.is_prefilled or oldest.cancelled.is_set():
                return
            try:
                self._prefill_chunk(oldest)
            except Exception as error:
                _log.exception("prefill of request %s failed", oldest.request.id)
                self._fail([oldest], error)
                return

    def _prefill_chunk(self, sequence: Sequence) -> None:
        prompt, chunk = sequence.request.prompt, self.settings.chunk_tokens
        assert sequence.slot is not None
        if sequence.keys is None:
            self._recall(sequence)
        start = sequence.num_prefilled
        tokens = prompt[start : start + chunk]
        hidden_CD = self._runner.prefill(sequence.slot, start, tokens)
        sequence.num_prefilled += len(tokens)
        if len(tokens) == chunk:
            self._save(sequence, start // chunk)
        if sequence.prompt_logprobs is not None and sequence.request.prompt_logprobs is not None:
            predicted = prompt[start + 1 : start + chunk + 1]
            logits_CV = self._runner.chunk_logits(hidden_CD)
            sequence.prompt_logprobs += prompt_logprobs(logits_CV, predicted, sequence.request.prompt_logprobs)
        if sequence.is_prefilled:
            self._finish_prompt(sequence, hidden_CD, len(tokens) - 1)

    def _recall(self, sequence: Sequence) -> None:
        """Take the prompt's first chunks from the KV store, unless their log-probabilities are wanted."""
        sequence.keys = []
        if self._memory is None:
            return
        prompt, slot = sequence.request.prompt, sequence.slot
        assert slot is not None
        try:
            sequence.keys = self._memory.keys(prompt, sequence.request.tenant)
            if sequence.request.prompt_logprobs is None:
                sequence.cached_tokens = self._memory.load(sequence.keys, len(prompt), slot)
                sequence.num_prefilled = sequence.cached_tokens
        except Exception:
            _log.exception("the KV store failed; the prompt of request %s is computed", sequence.request.id)

    def _save(self, sequence: Sequence, block: int) -> None:
        if self._memory is None or not sequence.keys or sequence.slot is None:
            return
        try:
            self._memory.save(sequence.keys[: block + 1], sequence.slot)
        except Exception:
            _log.exception("the KV store failed; a block of request %s is not kept", sequence.request.id)

    def _finish_prompt(self, sequence: Sequence, hidden_CD: Tensor, last_row: int) -> None:
        self._count(prompt_tokens=len(sequence.request.prompt), cached_tokens=sequence.cached_tokens)
        if sequence.request.max_new_tokens == 0:
            sequence.end(FinishReason.LENGTH)
            self._leave(sequence)
        else:
            self._advance(sequence, self._runner.logits(hidden_CD, last_row))

    def _decode(self) -> None:
        rows = {slot: sequence for slot, sequence in self._running.items() if sequence.is_prefilled}
        if not rows:
            return
        try:
            logits_MV = self._decode_rows(rows)
        except Exception as error:
            _log.exception("a decode step of %d rows failed", len(rows))
            if len(rows) == 1:
                self._fail([*rows.values()], error)
            else:
                self._decode_one_by_one(rows)
            return
        for slot, sequence in rows.items():
            self._advance(sequence, logits_MV[slot])

    def _decode_rows(self, rows: Mapping[int, Sequence]) -> Tensor:
        slots = range(self.settings.max_batch)
        tokens = [rows[slot].generated[-1] if slot in rows else None for slot in slots]
        positions = [rows[slot].next_position if slot in rows else 0 for slot in slots]
        return self._runner.decode(tokens, positions)

    def _decode_one_by_one(self, rows: Mapping[int, Sequence]) -> None:
        for slot, sequence in rows.items():
            try:
                logits_V = self._decode_rows({slot: sequence})[slot]
            except Exception as error:
                self._fail([sequence], error)
            else:
                self._advance(sequence, logits_V)

    def _advance(self, sequence: Sequence, logits_V: Tensor) -> None:
        """Choose the next token. What goes wrong here, scores that are not finite included, ends this sequence alone."""
        try:
            if not bool(torch.isfinite(logits_V.max())):
                raise ValueError("the model's scores are not finite; its weights or its input are damaged")
            token = sequence.sampler.choose(logits_V)
            num_top = sequence.request.logprobs
            logprobs = None if num_top is None else token_logprobs(logits_V, token, num_top)
        except Exception as error:
            _log.exception("choosing a token of request %s failed", sequence.request.id)
            self._fail([sequence], error)
            return
        self._count(generated_tokens=1)
        if sequence.take(token, logprobs):
            self._leave(sequence)

    def _fail(self, sequences: list[Sequence], error: Exception) -> None:
        for sequence in sequences:
            sequence.end(FinishReason.ERROR, f"{type(error).__name__}: {error}")
            self._leave(sequence, poisoned=True)

    def _leave(self, sequence: Sequence, *, poisoned: bool = False) -> None:
        with self._lock:
            assert sequence.slot is not None
            del self._running[sequence.slot]
            self._slots.give_back(sequence.slot, poisoned=poisoned)
            sequence.slot = None
        self._count(finished=1)

    def _count(self, **added: int) -> None:
        with self._lock:
            totals = {name: getattr(self._counters, name) + number for name, number in added.items()}
            self._counters = replace(self._counters, **totals)
