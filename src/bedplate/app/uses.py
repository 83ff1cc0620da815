"""One file per use case; `USES` names them as pipeline files do. Loaded when used."""

from __future__ import annotations

USES: dict[str, str] = {
    "model.fetch": "bedplate.app.toolchain.models.fetch",
    "data.text": "bedplate.app.toolchain.data.text",
    "ops.preflight": "bedplate.app.operations.preflight",
    "train": "bedplate.app.toolchain.train.step",
    "compress": "bedplate.app.toolchain.compress",
    "bench.serve": "bedplate.app.toolchain.serve.bench",
    "network.compare": "bedplate.app.network.compare",
    "score": "bedplate.app.scorecard.score",
}
