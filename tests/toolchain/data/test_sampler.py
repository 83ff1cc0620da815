"""Samples: each once an epoch, the same for the same seed and place, whatever happened before."""

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UsageError
from bedplate.toolchain.data.sampler import batches, window_of
from bedplate.toolchain.data.shards import FORMAT, VERSION, TokenShards, file_digest

LENGTH = 8


def make_shards(folder: Path, *, file_tokens: tuple[int, ...] = (37, 5, 60)) -> TokenShards:
    """Shards that hold 0, 1, 2, … over several files."""
    folder.mkdir(parents=True, exist_ok=True)
    entries, start = [], 0
    for number, count in enumerate(file_tokens):
        file = folder / f"train-{number:05d}.bin"
        np.arange(start, start + count, dtype="<u2").tofile(file)
        entries.append({"split": "train", "file": file.name, "tokens": count, "documents": 1, "digest": file_digest(file)})
        start += count
    manifest = {"format": FORMAT, "version": VERSION, "dtype": "<u2", "separator": 0, "shards": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return TokenShards(folder)


@given(num_windows=st.integers(1, 700), seed=st.integers(0, 2**63), epoch=st.integers(0, 5))
def test_each_window_is_visited_once_an_epoch(num_windows: int, seed: int, epoch: int) -> None:
    visited = [window_of(epoch * num_windows + place, num_windows, seed) for place in range(num_windows)]
    assert sorted(visited) == list(range(num_windows))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {(seed, epoch): [window_of(epoch * 50 + i, 50, seed) for i in range(50)] for seed in (0, 1) for epoch in (0, 1)}
    assert len({tuple(order) for order in orders.values()}) == 4
    assert orders[0, 0] != list(range(50))


def test_a_window_crosses_files_and_shares_one_token_with_the_next(tmp_path: Path) -> None:
    shards = make_shards(tmp_path)
    for index in range(shards.num_windows(LENGTH)):
        assert shards.window(index, LENGTH).tolist() == list(range(index * LENGTH, index * LENGTH + LENGTH + 1))


def test_a_resumed_run_goes_on_at_the_sample_where_it_stopped(tmp_path: Path) -> None:
    shards = make_shards(tmp_path)

    def run(rank: int, start_sample: int = 0) -> list[tuple[list[list[int]], int]]:
        made = batches(shards, seed=3, rank=rank, world_size=2, micro_batch=2, length=LENGTH, start_sample=start_sample)
        return [(batch.tokens.tolist(), batch.next_sample) for batch in islice(made, 7)]

    for rank in (0, 1):
        whole = run(rank)
        assert run(rank, start_sample=whole[2][1])[:4] == whole[3:]


def test_the_samples_of_a_step_do_not_depend_on_how_many_ranks_share_them(tmp_path: Path) -> None:
    shards = make_shards(tmp_path)

    def step(world_size: int, micro_batch: int) -> list[list[int]]:
        made = [
            next(batches(shards, seed=1, rank=rank, world_size=world_size, micro_batch=micro_batch, length=LENGTH))
            for rank in range(world_size)
        ]
        return [sample for batch in made for sample in batch.tokens.tolist()]

    assert step(1, 8) == step(2, 4) == step(4, 2)


def test_a_text_shorter_than_one_sample_is_refused(tmp_path: Path) -> None:
    shards = make_shards(tmp_path, file_tokens=(LENGTH,))
    with pytest.raises(UsageError, match=r"too short.*8 tokens.*at least 9"):
        next(batches(shards, seed=0, rank=0, world_size=1, micro_batch=1, length=LENGTH))
