"""Entries that the engine tests run; real engines import them in the task's process as `tests.engines.tasks:NAME`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bedplate.core.json import Json
from bedplate.core.messages import encode
from bedplate.core.task import TaskContext
from tests.engines.seen import Seen
from tests.json_values import integer_at, number_at, object_at, text_at


def finish(context: TaskContext) -> Mapping[str, Json] | None:
    if "after_s" in context.spec:
        time.sleep(number_at(context.spec, "after_s"))
    return None if context.spec.get("result") is None else object_at(context.spec, "result")


def describe(context: TaskContext) -> Mapping[str, Json]:
    """All that a task can see of where it runs."""
    return encode(
        Seen(
            gang=context.gang,
            rank=context.rank,
            world_size=context.world_size,
            rendezvous=context.rendezvous,
            spec=context.spec,
            stores=context.stores,
            cores=context.cores,
            devices=context.devices,
            scratch=context.scratch,
            scratch_entries=tuple(path.name for path in Path(context.scratch).iterdir()),
            affinity=tuple(sorted(os.sched_getaffinity(0))),
            environment=dict(os.environ),
            cpu_s=time.process_time(),
        )
    )


def fail(context: TaskContext) -> None:
    raise ValueError(context.spec["message"])


def leave(context: TaskContext) -> None:
    sys.exit(integer_at(context.spec, "code"))


def return_a_list(context: TaskContext) -> list[Json]:
    return [context.rank]


def report(context: TaskContext) -> None:
    for step in range(integer_at(context.spec, "steps")):
        context.progress(step=step)


def measure_nothing(context: TaskContext) -> Mapping[str, Json]:
    """Reports and returns what JSON has no numbers for."""
    numbers = [float("nan"), float("inf"), float("-inf")]
    context.progress(numbers=numbers, word="NaN")
    return {"numbers": numbers, "word": "NaN"}


def write(context: TaskContext) -> None:
    print("to stdout", context.spec["text"])
    print("to stderr", context.spec["text"], file=sys.stderr)


def sleep(context: TaskContext) -> None:
    """Says that it is there, then does nothing for long."""
    context.progress(ready=True)
    time.sleep(300)


def sleep_unheard(context: TaskContext) -> None:
    time.sleep(number_at(context.spec, "for_s"))


def beat(context: TaskContext) -> None:
    context.progress(ready=True)
    end_s = time.monotonic() + number_at(context.spec, "for_s")
    while time.monotonic() < end_s:
        context.heartbeat()
        time.sleep(0.02)


def ignore_sigterm(context: TaskContext) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context.progress(ready=True)
    time.sleep(300)


def read_descriptor(context: TaskContext) -> Mapping[str, Json]:
    text = os.pread(context.descriptors["memory"], 100, 0).decode()
    os.pwrite(context.descriptors["memory"], b"written by the task", 0)
    return {"text": text}


def grow(context: TaskContext) -> None:
    """Touches memory in steps, in a child process where the spec says so."""
    if context.spec.get("in_child"):
        context.progress(ready=True)
        code = f"from tests.engines.tasks import take; take({integer_at(context.spec, 'bytes')})"
        subprocess.run([sys.executable, "-c", code], check=True)
    else:
        take(integer_at(context.spec, "bytes"))


def take(size_bytes: int) -> None:
    held: list[bytes] = []
    while sum(map(len, held)) < size_bytes:
        held.append(b"x" * 8_000_000)
        time.sleep(0.005)
    time.sleep(300)


def share_memory(context: TaskContext) -> Mapping[str, Json]:
    """Maps and touches an inherited memory file, longer than the engine needs to look."""
    import mmap

    with mmap.mmap(context.descriptors["memory"], 0) as view:
        touched = sum(view[offset] for offset in range(0, len(view), 4096))
        time.sleep(number_at(context.spec, "for_s"))
    return {"touched": touched}


def have_descendants(context: TaskContext) -> None:
    """Starts a child, a grandchild in a session of its own, and a twice-forked daemon; reports their pids; then as told."""
    directory = Path(text_at(context.spec, "directory"))
    name = f"{context.gang}-{context.rank}"
    child = f"import os, time; open({str(directory / name)!r} + '.child', 'w').write(str(os.getpid())); time.sleep(300)"
    daemon = (
        "import os, time\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        f"open({str(directory / name)!r} + '.daemon', 'w').write(str(os.getpid()))\n"
        "time.sleep(300)\n"
    )
    subprocess.Popen([sys.executable, "-S", "-c", child], start_new_session=True)
    subprocess.Popen([sys.executable, "-S", "-c", daemon], env={})
    paths = [directory / f"{name}.{kind}" for kind in ("child", "daemon")]
    while not all(path.exists() and path.read_text() for path in paths):
        time.sleep(0.01)
    context.progress(pids=[os.getpid(), *(int(path.read_text()) for path in paths)])
    if context.spec.get("then") == "return":
        return
    time.sleep(300)


def listen_at_rendezvous(context: TaskContext) -> Mapping[str, Json]:
    """Rank 0 listens where the engine said, the others connect; every rank gives what it heard."""
    import socket

    host, _, port = context.rendezvous.rpartition(":")
    if context.rank == 0:
        with socket.create_server((host, int(port))) as server:
            context.progress(listening=True)
            for rank in range(1, context.world_size):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(f"{context.gang} takes {rank}".encode())
        return {"heard": ""}
    deadline_s = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                return {"heard": connection.recv(100).decode()}
        except ConnectionRefusedError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)


def flood(context: TaskContext) -> Mapping[str, Json]:
    """Reports more than any socket holds; says how long the longest call took."""
    longest_s = 0.0
    for step in range(integer_at(context.spec, "steps")):
        start_s = time.monotonic()
        context.progress(step=step, filler="x" * 2000)
        longest_s = max(longest_s, time.monotonic() - start_s)
    return {"longest_s": longest_s}


def abort_at_exit(context: TaskContext) -> None:
    """Dies in the interpreter's shutdown, as communication libraries do that were not shut down."""
    import atexit

    atexit.register(os.abort)


def count_torch_threads(context: TaskContext) -> Mapping[str, Json]:
    import torch

    return {"threads": torch.get_num_threads()}


def tell_rendezvous(context: TaskContext) -> None:
    context.progress(rendezvous=context.rendezvous)
    time.sleep(300)


def grow_in_cgroup(context: TaskContext) -> None:
    """Enters the cgroup of the spec, then takes memory until the kernel ends it."""
    (Path(text_at(context.spec, "cgroup")) / "cgroup.procs").write_text(str(os.getpid()))
    take(integer_at(context.spec, "bytes"))


def hold_shared_memory(context: TaskContext) -> None:
    """Makes a segment in /dev/shm and holds on to it."""
    from multiprocessing.shared_memory import SharedMemory

    segment = SharedMemory(create=True, size=1_000_000)
    context.progress(name=segment.name)
    time.sleep(300)
