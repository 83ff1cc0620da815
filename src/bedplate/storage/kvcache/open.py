"""A KV store by its URL: `kv:///var/cache/kv?memory=1GB&disk=4GB`, or `kv:?memory=1GB` for memory alone."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from bedplate.core.errors import UsageError, check_known
from bedplate.core.units import parse_bytes
from bedplate.storage.kvcache.disk_tier import DiskTier
from bedplate.storage.kvcache.memory_tier import MemoryTier
from bedplate.storage.kvcache.store import TieredKVStore
from bedplate.storage.kvcache.write_behind import WriteBehind

DEFAULT_MEMORY_BYTES = 1_000_000_000
DEFAULT_DISK_BYTES = 10_000_000_000
WRITE_QUEUE_BYTES = 256_000_000
"""Most bytes that may wait for the disk."""
_OPTIONS = ("memory", "disk")


def open_kv_store(url: str) -> TieredKVStore:
    """Open the store that a URL names; a directory is made when missing.

    Raises:
        UsageError: Not a `kv:` URL, an unknown option, a wrong size, or a directory that holds something else.
        UnavailableError: Another process has the directory open, or it cannot be used.
    """
    parts = urlsplit(url)
    if parts.scheme != "kv" or parts.netloc:
        raise UsageError("not a KV store", seen=url, expected="kv:///directory?memory=1GB&disk=10GB, or kv:?memory=1GB")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        check_known(name, _OPTIONS, "unknown option of a KV store", seen=url)
    memory_bytes = parse_bytes(options.get("memory", DEFAULT_MEMORY_BYTES))
    if not parts.path:
        if "disk" in options:
            raise UsageError("a disk tier needs a directory", seen=url, expected="kv:///directory?disk=10GB")
        return TieredKVStore([MemoryTier(memory_bytes)])
    disk_bytes = parse_bytes(options.get("disk", DEFAULT_DISK_BYTES))
    disk = DiskTier(Path(unquote(parts.path)), disk_bytes)
    return TieredKVStore([MemoryTier(memory_bytes), WriteBehind(disk, WRITE_QUEUE_BYTES)])
