"""One file a use case; `USES` names them as pipeline files do. Loaded when used."""

from __future__ import annotations

USES: dict[str, str] = {
    "model.fetch": "bedplate.app.usecases.model_fetch",
    "data.text": "bedplate.app.usecases.data_text",
    "ops.preflight": "bedplate.app.usecases.preflight",
    "train": "bedplate.app.usecases.train",
    "compress": "bedplate.app.usecases.compress",
    "bench.serve": "bedplate.app.usecases.bench_serve",
    "network.compare": "bedplate.app.usecases.network_compare",
    "score": "bedplate.app.usecases.score",
}
