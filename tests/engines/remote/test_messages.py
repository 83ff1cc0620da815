"""What a driver and its agents say to each other: bytes, of one version, refused by name where they are not understood."""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from bedplate._version import __version__
from bedplate.compute.inventory import NODE_READER
from bedplate.core.errors import MessageError, NotFoundError, UnavailableError, UsageError
from bedplate.core.workload import Gang, Placement, Resources, Task, TaskPlacement
from bedplate.engines.local.start import GangPart
from bedplate.engines.remote.agent import NodeAgent
from bedplate.engines.remote.answers import Done, Failed, Text
from bedplate.engines.remote.conversation import Conversation
from bedplate.engines.remote.engine import RemoteEngine
from bedplate.engines.remote.messages import pack_answer, pack_order, read_answer, read_order
from bedplate.engines.remote.orders import Describe, OpenSession, StartPart
from bedplate.engines.remote.transport import ANSWER_S, RemoteNode
from tests.engines.remote.thread_transport import ThreadTransport
from tests.engines.workloads import finishing, gang

OTHER = "9.9.9"


def of_version(data: bytes, version: str | None) -> bytes:
    """A message as another version of bedplate would have begun it, and with something in it that this one does not know."""
    document = {**json.loads(data), "since_then": True}
    return json.dumps({**document, "bedplate": version} if version else document["order"]).encode()


class OtherVersion(ThreadTransport):
    """A cluster on whose nodes another version of bedplate is installed."""

    def answer(self, call: "Future[bytes]", timeout_s: float = ANSWER_S) -> bytes:
        return of_version(super().answer(call, timeout_s), OTHER)


@pytest.fixture
def transport() -> Iterator[ThreadTransport]:
    transport = ThreadTransport(NODE_READER)
    yield transport
    transport.close()


def test_a_gang_travels_as_it_is() -> None:
    task = Task(
        entry="a:b",
        spec={"loss": "NaN", "nested": {"list": [1, 2.5, None, True]}},
        stores={"kv": "file:///kv"},
        resources=Resources(cpus=2, memory_bytes=10**9, accelerators=1, accelerator="H100"),
        environment={"COLOUR": "blue"},
        duration_s=3.0,
    )
    order = StartPart(
        key="k",
        gang=Gang(name="gang", tasks=(task, task), heartbeat_timeout_s=1.5, node_labels={"rack": "1"}),
        part=GangPart(ranks=(1, 3), world_size=4, rendezvous="here:1"),
        placement=Placement(tasks=(TaskPlacement(node="n", cores=(0, 1), devices=("cuda:0",)),) * 2),
    )
    received = read_order(pack_order("engine", order))
    assert (received.engine, received.order) == ("engine", order)


@pytest.mark.parametrize(("version", "seen"), [(OTHER, OTHER), (None, "no version")])
def test_an_order_of_another_version_is_refused_by_name(version: str | None, seen: str) -> None:
    answer = read_answer(NodeAgent().serve(of_version(pack_order("engine", Describe()), version)))
    assert isinstance(answer, Failed)
    assert answer.error["error"] == "a message of another version of bedplate"
    assert (answer.error["seen"], answer.error["expected"]) == (seen, __version__)


def test_a_node_with_another_version_is_one_clear_error_for_the_driver(tmp_path: Path) -> None:
    transport = OtherVersion(NODE_READER)
    engine = RemoteEngine(tmp_path, transport)
    for call in (engine.resources, lambda: engine.submit(gang(finishing()))):
        with pytest.raises(MessageError, match=f"another version of bedplate; seen: {OTHER}; expected: {__version__}"):
            call()
    engine.close()
    transport.close()
    assert engine.gangs() == ()
    assert transport.used.total() == 0, "nothing stays reserved"


@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"[]", b'{"order": {}}'])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    answer = read_answer(NodeAgent().serve(data))
    assert isinstance(answer, Failed)
    assert answer.error["code"] == MessageError.code


def test_an_agents_error_arrives_with_its_class(transport: ThreadTransport) -> None:
    agent = transport.agent(next(iter(transport.nodes().values())))
    with pytest.raises(NotFoundError, match="engine 'nobody' is not open on this node"):
        Conversation(transport, "nobody").ask(agent, Describe(), Done)


def test_a_machine_that_cannot_be_read_is_said_and_is_no_lost_node(tmp_path: Path) -> None:
    transport = ThreadTransport("tests.engines.nowhere:read")
    engine = RemoteEngine(tmp_path, transport)
    with pytest.raises(UsageError, match="not a node reader"):
        engine.submit(gang(finishing()))
    engine.close()
    transport.close()


def test_an_unexpected_error_of_an_agent_is_an_answer_too(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("where a directory should be")
    node = RemoteNode(id="a", name="a", host="127.0.0.1", num_cores=1, labels={})
    order = OpenSession(root=str(file), node=node, node_reader=NODE_READER)
    answer = read_answer(NodeAgent().serve(pack_order("engine", order)))
    assert isinstance(answer, Failed)
    assert answer.error["code"] == UnavailableError.code
    assert "FileExistsError" in str(answer.error["seen"])


def test_an_answer_to_something_else_is_refused(transport: ThreadTransport) -> None:
    class Confused(NodeAgent):
        def serve(self, request: bytes) -> bytes:
            return pack_answer(Text(text="good morning"))

    agent = transport.agent(next(iter(transport.nodes().values())))
    agent.made = Future()
    agent.made.set_result(Confused())
    with pytest.raises(MessageError, match="not an answer to this order; seen: text; expected: Done"):
        Conversation(transport, "engine").ask(agent, Describe(), Done)
