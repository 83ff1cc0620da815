"""Copies memory checkpoints to disk from a thread of the supervisor, so that training does not wait for the disk.

The thread runs at the lowest priority. A worker may overwrite the generation that is being copied (two checkpoints
later): the record is then gone from memory, and the copy is dropped; a newer step is due anyway.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from bedplate.core.errors import IntegrityError, NotFoundError
from bedplate.storage.checkpoint.disk import DiskCheckpointStore
from bedplate.storage.checkpoint.memory import MemoryCheckpointStore


class DiskCopier:
    """Copies the newest memory checkpoint to `folder` whenever `wake` is called; one copy at a time."""

    def __init__(self, memory: MemoryCheckpointStore, folder: Path, failed: Callable[[int, str], None]) -> None:
        """Start the thread; `failed(step, reason)` is called for a copy that failed (a full disk, for example)."""
        self._memory, self._folder, self._failed = memory, folder, failed
        self._copied_step: int | None = None
        self._changed = threading.Condition()
        self._is_wanted = self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="checkpoint-copier", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Copy the newest complete step soon; returns immediately."""
        with self._changed:
            self._is_wanted = True
            self._changed.notify()

    def close(self) -> int | None:
        """Finish the pending copy and stop the thread; returns the newest step that was copied."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()
        return self._copied_step

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # a kernel that refuses leaves the thread at normal priority
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while self._wait_for_request():
            step = next(iter(self._memory.steps()), None)
            if step is None or step == self._copied_step:
                continue
            try:
                if copy_checkpoint(self._memory, self._folder, step):
                    self._copied_step = step
            except (OSError, IntegrityError) as error:
                self._failed(step, str(error))

    def _wait_for_request(self) -> bool:
        """Wait for a request or for `close`; False on close."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_wanted or self._is_closing)
            is_wanted, self._is_wanted = self._is_wanted, False
            return is_wanted


def copy_checkpoint(memory: MemoryCheckpointStore, folder: Path, step: int) -> bool:
    """Copy a step of all ranks; False where it was overwritten in the process (nothing half copied is left committed).

    Raises:
        OSError: The disk is full or cannot be written.
        IntegrityError: The memory itself is damaged.
    """
    try:
        world_size = memory.world_size(step)
        for rank in range(world_size):
            shard = memory.load(step, rank)
            store = DiskCheckpointStore(folder, rank, world_size)
            store.save(step, shard, still_valid=lambda: step in memory.steps())
        return step in DiskCheckpointStore(folder, 0, world_size).steps()
    except NotFoundError:
        return False
    except IntegrityError:
        if step not in memory.steps():
            return False
        raise
