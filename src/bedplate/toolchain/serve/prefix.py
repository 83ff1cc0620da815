"""Long memory of the engine: KV of prompt chunks goes to the store, and comes back instead of being computed.

Only blocks that prefill made are stored, one a chunk, and reuse ends at a chunk boundary before the last prompt token;
so what is loaded is bit for bit what the same chunk would compute (see `decoder.py`). The namespace names everything
that could change those bits: weights, the model's config, dtype, chunk, threads, the version of this code and of torch, and
what the processor can do.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from bedplate.core.blocks import BlockKey, KVBlockStore, KVNamespace, chain_keys
from bedplate.toolchain.models.config import LlamaConfig, config_digest
from bedplate.toolchain.serve.slots import KVSlots

KERNEL_VARIABLES = ("ATEN_CPU_", "ONEDNN_", "DNNL_", "MKL_CBWR", "MKL_ENABLE_")
"""Beginnings of the environment variables by which people make torch's libraries take other kernels."""
LOAD_BATCH_BLOCKS = 16
"""Blocks that are fetched at a time: bounds the staging memory."""


LAYOUT_VERSION = 2
"""Of the code that computes and orders the bytes of a block: raise it whenever a change to the decoder, its kernels or
`KVSlots.read_block` can change a bit of them, so that blocks of older releases are never found again."""


def kv_namespace(config: LlamaConfig, weights_digest: str, dtype: torch.dtype, chunk_tokens: int) -> KVNamespace:
    """Namespace of the blocks that this process would compute; independent of the tokenizer, since keys are over tokens.

    Args:
        config: All of it is in the key: a field that does not change the bytes costs a recomputation, one left out costs
            wrong answers.
        weights_digest: Of the bytes of the weights.
        dtype: Of weights and KV.
        chunk_tokens: Tokens of a block, and of a prefill step.
    """
    return KVNamespace(
        weights_digest=weights_digest,
        config_digest=config_digest(config),
        dtype=str(dtype).removeprefix("torch."),
        layout=f"L2GCK {LAYOUT_VERSION}, chunk {chunk_tokens}; {_computed_by()}",
        block_tokens=chunk_tokens,
    )


def _computed_by() -> str:
    """What else decides the bits of a product: library, threads, kernels that the processor has, variables that choose them."""
    facts = [f"torch {torch.__version__}", f"{torch.get_num_threads()} threads", torch.backends.cpu.get_cpu_capability()]
    chosen = {name: value for name, value in os.environ.items() if name.startswith(KERNEL_VARIABLES)}
    return "; ".join([*facts, *processor_facts(), *(f"{name}={chosen[name]}" for name in sorted(chosen))])


def processor_facts(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Make of the processor and its vector and matrix instructions, by which oneDNN and MKL choose and block their kernels.

    Empty where the system does not report it; torch's own name for the instructions is in the key as well.
    """
    try:
        first = cpuinfo.read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    names = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    vectors = [flag for flag in flags if flag.startswith(("avx", "amx", "fma", "sve", "asimd", "bf16", "i8mm"))]
    return [*(f"{name} {fields[name]}" for name in names if name in fields), " ".join(sorted(vectors))]


class PrefixMemory:
    """Joins the engine's slots to a block store. Used by the scheduler thread."""

    def __init__(self, store: KVBlockStore, namespace: KVNamespace, slots: KVSlots) -> None:
        self._store, self._namespace, self._slots = store, namespace, slots
        self._tokens = namespace.block_tokens
        self._staging = torch.empty((LOAD_BATCH_BLOCKS, slots.block_bytes(self._tokens)), dtype=torch.uint8)

    def keys(self, prompt: Sequence[int], tenant: str) -> list[BlockKey]:
        """Keys of the prompt's complete chunks."""
        return chain_keys(dataclasses.replace(self._namespace, tenant=tenant), prompt)

    def load(self, keys: Sequence[BlockKey], num_prompt_tokens: int, slot: int) -> int:
        """Fill the front of a slot with what is stored; at least the last prompt token is left to compute.

        Returns:
            Number of tokens loaded, a multiple of the chunk.
        """
        wanted = keys[: (num_prompt_tokens - 1) // self._tokens]
        wanted = wanted[: self._store.match(wanted)]
        num_loaded = 0
        while num_loaded < len(wanted):
            batch = wanted[num_loaded : num_loaded + LOAD_BATCH_BLOCKS]
            buffers = [self._staging[index].numpy().data for index in range(len(batch))]
            got = self._store.get(batch, buffers)
            for index in range(got):
                self._slots.write_block(slot, (num_loaded + index) * self._tokens, self._tokens, self._staging[index])
            num_loaded += got
            if got < len(batch):
                break
        return num_loaded * self._tokens

    def save(self, keys: Sequence[BlockKey], slot: int) -> None:
        """Store the last block of a chain that was just computed; `keys` are it and all before it."""
        start = (len(keys) - 1) * self._tokens
        self._store.put(keys, [self._slots.read_block(slot, start, self._tokens)])
