"""Every machine is read where it is, and a silent one is named."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bedplate.engines.remote.survey import survey
from tests.engines.remote.thread_transport import ThreadTransport


@contextmanager
def transport(reader: str) -> Iterator[ThreadTransport]:
    opened = ThreadTransport(f"tests.engines.remote.machines:{reader}")
    yield opened
    opened.close()


def test_every_machine_says_what_it_is_without_a_session() -> None:
    with transport("small") as way:
        reports = survey(way, 10.0)
        assert way.used.total() == 0
    assert [report.id for report in reports] == ["node-0", "node-1", "node-2"]
    for report in reports:
        assert report.has_answered
        assert [device.model for device in report.devices] == ["Small CPU"]
        assert report.labels == {"rack": "7"}
        assert report.troubles == ("probe 'x' is broken: no",)


def test_one_that_hangs_costs_the_others_nothing_and_is_named() -> None:
    began_s = time.monotonic()
    with transport("first_hangs") as way:
        reports = survey(way, 1.0)
        assert time.monotonic() - began_s < 3.0
    silent = [report for report in reports if not report.has_answered]
    assert len(silent) == 1
    assert silent[0].devices == ()
    assert "did not answer" in silent[0].troubles[0]
    assert sum(len(report.devices) for report in reports) == 2


def test_one_that_cannot_be_read_says_why() -> None:
    with transport("unreadable") as way:
        reports = survey(way, 10.0)
    assert [report.has_answered for report in reports] == [False] * 3
    assert all("cannot be read: no /proc" in report.troubles[0] for report in reports)


@pytest.mark.parametrize("lost", ["node-0", "node-2"])
def test_one_that_went_away_is_not_listed(lost: str) -> None:
    with transport("small") as way:
        way.remove_node(lost)
        assert lost not in {report.id for report in survey(way, 10.0)}
