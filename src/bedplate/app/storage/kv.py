"""`storage kv`: look at the directory of a KV store without serving from it."""

from __future__ import annotations

from bedplate.core.blocks import IntegrityReport as IntegrityReport
from bedplate.storage.kvcache.inspection import DirectoryDescription as DirectoryDescription
from bedplate.storage.kvcache.inspection import describe_directory as describe_directory
from bedplate.storage.kvcache.inspection import verify_directory as verify_directory

__all__ = ["DirectoryDescription", "IntegrityReport", "describe_directory", "verify_directory"]
