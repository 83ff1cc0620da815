"""What tenants are entitled to, and how far they were given it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.compute.simulate.replay.fairness import Service, entitled_shares, jain_index


def test_who_asks_little_gets_it_and_the_rest_is_shared_by_weight() -> None:
    demand = np.array([[0.1], [0.9], [0.9]])
    assert entitled_shares(demand, np.array([1.0, 1.0, 2.0])) == pytest.approx([0.1, 0.3, 0.6])


def test_dominant_shares_are_equal_where_resources_differ() -> None:
    """Ghodsi et al. 2011, section 4.1: 9 CPU, 18 GB; <1 CPU, 4 GB> and <3 CPU, 1 GB> a task: both get two thirds."""
    demand = np.array([[10 / 9, 40 / 18], [30 / 9, 10 / 18]])
    assert entitled_shares(demand, np.ones(2)) == pytest.approx([2 / 3, 2 / 3])


@given(st.lists(st.lists(st.floats(0, 2), min_size=3, max_size=3), min_size=1, max_size=6))
def test_nobody_is_entitled_to_more_than_is_asked_or_there_is(rows: list[list[float]]) -> None:
    demand = np.array(rows)
    entitled = entitled_shares(demand, np.ones(len(rows)))
    dominant = demand.max(axis=1)
    assert (entitled <= dominant + 1e-9).all()
    used = (entitled[:, None] * demand / np.where(dominant > 0, dominant, 1)[:, None]).sum(axis=0)
    assert (used <= 1 + 1e-6).all()
    assert (entitled == dominant).all() or used.max() == pytest.approx(1, abs=1e-6), "no more than is needed is withheld"


def test_service_is_what_was_held_of_what_was_due() -> None:
    service = Service(("a", "b", "idle"), {})
    service.sample(np.array([[0.5], [0.25], [0.0]]), np.array([[1.0], [1.0], [0.0]]), 10.0)
    assert service.served_frac() == pytest.approx({"a": 1.0, "b": 0.5})
    assert service.dominant_shares() == pytest.approx({"a": 0.5, "b": 0.25, "idle": 0.0})


def test_jains_index() -> None:
    assert jain_index(np.array([2.0, 2.0, 2.0])) == 1
    assert jain_index(np.array([1.0, 0.0, 0.0, 0.0])) == 0.25
    assert jain_index(np.array([])) == 1
