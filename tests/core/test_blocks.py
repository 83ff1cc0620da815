"""Keys of KV blocks: equal exactly where prefix and namespace are equal."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.blocks import KVNamespace, adopted_key, chain_keys

NAMESPACE = KVNamespace(weights_digest="d0", config_digest="c0", dtype="bf16", layout="v1", block_tokens=4)
TOKENS = st.lists(st.integers(0, 2**32 - 1), max_size=40)


@given(TOKENS)
def test_only_whole_blocks_have_keys(tokens: list[int]) -> None:
    keys = chain_keys(NAMESPACE, tokens)
    assert len(keys) == len(tokens) // 4
    assert all(len(key) == 32 for key in keys)


@given(TOKENS, TOKENS)
def test_keys_agree_for_exactly_the_blocks_of_the_common_prefix(first: list[int], second: list[int]) -> None:
    agreeing = sum(a == b for a, b in zip(chain_keys(NAMESPACE, first), chain_keys(NAMESPACE, second), strict=False))
    common = 0
    while common < min(len(first), len(second)) and first[common] == second[common]:
        common += 1
    assert agreeing == common // 4


def test_a_block_after_another_prefix_has_another_key() -> None:
    assert chain_keys(NAMESPACE, [1, 2, 3, 4, 9, 9, 9, 9])[1] != chain_keys(NAMESPACE, [5, 6, 7, 8, 9, 9, 9, 9])[1]


@pytest.mark.parametrize(
    "change",
    [
        {"weights_digest": "d1"},
        {"config_digest": "c1"},
        {"dtype": "fp32"},
        {"layout": "v2"},
        {"tenant": "another"},
        {"adapter": "a0"},
        {"shard": "tensor 1 of 2"},
        {"key_scheme": "another"},
    ],
)
def test_whatever_decides_the_bytes_of_a_block_is_in_its_key(change: dict[str, Any]) -> None:
    assert chain_keys(NAMESPACE, range(8))[0] != chain_keys(replace(NAMESPACE, **change), range(8))[0]


def test_a_key_is_the_same_in_every_process_and_release() -> None:
    assert chain_keys(NAMESPACE, range(4))[0].hex()[:16] == "73acb51573f06b51"


def test_a_foreign_hash_becomes_a_key_in_its_own_namespace() -> None:
    foreign = replace(NAMESPACE, key_scheme="vllm-sha256")
    key = adopted_key(foreign, b"a hash of any length")
    assert len(key) == 32
    assert key == adopted_key(foreign, b"a hash of any length")
    others = [replace(foreign, tenant="another"), replace(foreign, shard="tensor 1 of 2"), replace(foreign, key_scheme="x")]
    assert len({key, *(adopted_key(other, b"a hash of any length") for other in others)}) == 4


def test_a_foreign_hash_cannot_pass_for_one_of_our_keys() -> None:
    with pytest.raises(ValueError, match="key scheme"):
        adopted_key(NAMESPACE, b"hash")
