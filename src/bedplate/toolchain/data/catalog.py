"""Texts that bedplate knows by name: where their bytes are, what they must be, and what to know about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.toolchain.fetch.wheel_file import WheelFile


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownText:
    """A text in the catalog."""

    name: str
    text: WheelFile
    licence: str
    source: str
    notes: str


TEXTS: Mapping[str, KnownText] = {
    "wikipedia-sample": KnownText(
        name="wikipedia-sample",
        text=WheelFile(
            package="gensim",
            version="4.4.0",
            member="gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
            sha256="a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d",
            size_bytes=1_695_871,
            download_bytes=27_809_988,
            wheel_tags=(
                *("--platform", "manylinux_2_24_x86_64", "--platform", "manylinux_2_28_x86_64"),
                *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
            ),
        ),
        licence="CC BY-SA 3.0",
        source="English Wikipedia, April 2016, 106 articles; from the test data of the package gensim 4.4.0",
        notes="About 2.8 MB of text once cleaned; most models have seen these articles in pre-training.",
    ),
}
