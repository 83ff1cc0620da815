"""Max-min shares: nobody over capacity, everybody with a bottleneck, closed forms where they exist."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UsageError
from bedplate.network.balance import open_balancer
from bedplate.network.rates import max_min
from bedplate.network.rates.max_min import _levels, max_min_share
from bedplate.network.topology.fabric import Floats, Ints
from tests.network.conftest import RoutesOf, invariant

NUM_LINKS = 6


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Capacities (some links dead), streams with different links at each hop, usages and weights."""
    capacity = draw(st.lists(st.sampled_from([0.0, 1.0, 2.5, 7.0, 1e10]), min_size=NUM_LINKS, max_size=NUM_LINKS))
    paths = draw(
        st.lists(st.lists(st.integers(0, NUM_LINKS - 1), min_size=1, max_size=4, unique=True), min_size=1, max_size=12)
    )
    hops = np.full((len(paths), 4), -1)
    for row, path in zip(hops, paths, strict=True):
        row[: len(path)] = path
    usage = draw(st.lists(st.sampled_from([0.125, 0.5, 1.0]), min_size=hops.size, max_size=hops.size))
    weight = draw(st.lists(st.sampled_from([0.25, 1.0, 3.0]), min_size=len(paths), max_size=len(paths)))
    return np.array(capacity), hops, np.array(usage).reshape(hops.shape), np.array(weight)


def load_of(hops: np.ndarray, usage: np.ndarray, rate: np.ndarray) -> np.ndarray:
    load = np.zeros(NUM_LINKS)
    for stream, hop in np.argwhere(hops >= 0):
        load[hops[stream, hop]] += usage[stream, hop] * rate[stream]
    return load


@invariant
@given(tables())
def test_no_link_is_over_capacity(table: tuple[np.ndarray, ...]) -> None:
    capacity, hops, usage, weight = table
    rate = max_min_share(capacity, hops, usage=usage, weight=weight)
    assert (rate >= 0).all()
    assert (load_of(hops, usage, rate) <= capacity * (1 + 1e-9)).all()


@invariant
@given(tables())
def test_every_stream_has_a_bottleneck_link(table: tuple[np.ndarray, ...]) -> None:
    capacity, hops, usage, weight = table
    rate = max_min_share(capacity, hops, usage=usage, weight=weight)
    load, level = load_of(hops, usage, rate), rate / weight
    for stream, path in enumerate(hops):
        bottlenecks = [
            link
            for link in path[path >= 0]
            if load[link] >= capacity[link] * (1 - 1e-9)
            and level[stream] >= level[(hops == link).any(axis=1)].max() * (1 - 1e-9)
        ]
        assert bottlenecks, f"stream {stream} could gain without a slower one losing"


@invariant
@given(tables())
def test_the_answer_equals_filling_one_link_at_a_time(table: tuple[np.ndarray, ...]) -> None:
    capacity, hops, usage, weight = table
    rate, free, active = np.zeros(len(hops)), capacity.copy(), np.ones(len(hops), dtype=bool)
    while active.any():
        push = load_of(hops, usage, weight * active)
        level = np.where(push > 0, free / np.where(push > 0, push, 1), np.inf)
        tightest = int(level.argmin())
        frozen = active & (hops == tightest).any(axis=1)
        rate[frozen] = level[tightest] * weight[frozen]
        free = np.maximum(free - load_of(hops, usage, rate * frozen), 0)
        active &= ~frozen
    np.testing.assert_allclose(max_min_share(capacity, hops, usage=usage, weight=weight), rate, rtol=1e-9, atol=1e-9)


def test_streams_on_one_link_share_it_evenly() -> None:
    assert max_min_share(np.array([12.0]), np.zeros((4, 1), dtype=np.int64)).tolist() == [3.0] * 4


def test_weights_set_the_proportion_on_a_shared_link() -> None:
    rate = max_min_share(np.array([12.0]), np.zeros((2, 1), dtype=np.int64), weight=np.array([1.0, 3.0]))
    assert rate.tolist() == [3.0, 9.0]


def test_a_parking_lots_long_stream_is_bound_by_the_tightest_link() -> None:
    hops = np.array([[0, 1, 2], [0, -1, -1], [1, -1, -1], [2, -1, -1]])
    assert max_min_share(np.array([10.0, 4.0, 6.0]), hops).tolist() == [2.0, 8.0, 2.0, 4.0]


def test_half_usage_of_a_link_takes_half_the_rate() -> None:
    assert max_min_share(np.array([1.0]), np.array([[0]]), usage=np.array([[0.5]])).tolist() == [2.0]


def test_dead_links_give_nothing_and_take_nothing_from_others() -> None:
    hops = np.array([[0, 1], [0, -1]])
    assert max_min_share(np.array([8.0, 0.0]), hops).tolist() == [0.0, 8.0]


def test_no_streams_is_no_rates() -> None:
    assert max_min_share(np.array([8.0]), np.zeros((0, 3), dtype=np.int64)).shape == (0,)


def test_a_path_over_an_unknown_link_is_refused() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        max_min_share(np.array([8.0]), np.array([[1]]))


def test_a_thousand_hashed_flows_take_few_rounds(routes_of: RoutesOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds, not seconds: each costs a fixed number of passes over the table; one link at a time takes one a level."""
    rounds = []

    def counted(free: Floats, link: Ints, push: Floats) -> Floats:
        rounds.append(len(link))
        return _levels(free, link, push)

    routes = routes_of("leaf-spine:32x32", "permutation:1")
    streams = open_balancer("ecmp")(routes, seed=0, num_queue_pairs=1)
    monkeypatch.setattr(max_min, "_levels", counted)
    rates = streams.stream_rates(routes)
    assert len(routes.flows) == 1024
    assert 0 < len(rounds) <= 16
    assert rounds == sorted(rounds, reverse=True), "the table shrinks from round to round"
    assert (rates > 0).all()
