"""Samples: each once an epoch, the same for the same seed and place, whatever happened before."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UsageError
from bedplate.toolchain.data.sampler import window_of
from bedplate.toolchain.data.shards import FORMAT, VERSION, TokenShards, file_digest
from bedplate.toolchain.train.batches import ShardBatches
from bedplate.toolchain.train.settings import TrainSettings

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


def test_every_window_is_sampled_once_an_epoch(tmp_path: Path) -> None:
    shards = make_shards(tmp_path)
    num_windows = shards.num_windows(LENGTH)
    settings = TrainSettings(model="m", data="d", sequence=LENGTH, micro_batch=2, accumulate=1, seed=3)

    def samples(workers: int, steps: int) -> list[list[int]]:
        batches = ShardBatches(shards, settings, workers)
        cut = (batches.micro_batch(step, index)[0] for step in range(1, steps + 1) for index in range(workers))
        return [row for inputs in cut for row in inputs.tolist()]

    assert samples(1, 12) == samples(2, 6) == samples(4, 3)
    assert sorted(samples(1, 12)[:num_windows]) == [shards.window(i, LENGTH)[:-1].tolist() for i in range(num_windows)]


def test_targets_are_the_inputs_one_token_later(tmp_path: Path) -> None:
    settings = TrainSettings(model="m", data="d", sequence=LENGTH)
    inputs, targets = ShardBatches(make_shards(tmp_path), settings, 1).micro_batch(1, 0)
    assert (targets == inputs + 1).all()


def test_a_text_shorter_than_one_sample_is_refused(tmp_path: Path) -> None:
    shards = make_shards(tmp_path, file_tokens=(LENGTH,))
    with pytest.raises(UsageError, match=r"too short.*8 tokens.*at least 9"):
        ShardBatches(shards, TrainSettings(model="m", data="d", sequence=LENGTH), 1)
