"""What Prometheus scrapes: latencies as clients see them, and the engine's own counters."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bedplate.core.generation import GenerationEngine

_FIRST_TOKEN_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_NEXT_TOKEN_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5)


class ServerMetrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self, engine: GenerationEngine) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_EngineCollector(engine))
        self.requests = Counter("bedplate_requests", "Requests by how they ended.", ["outcome"], registry=self._registry)
        self.first_token_s = Histogram(
            "bedplate_time_to_first_token_seconds",
            "From the request's arrival to its first token.",
            buckets=_FIRST_TOKEN_S,
            registry=self._registry,
        )
        self.next_token_s = Histogram(
            "bedplate_time_per_output_token_seconds",
            "Between two tokens of one answer.",
            buckets=_NEXT_TOKEN_S,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)


class _EngineCollector(Collector):
    def __init__(self, engine: GenerationEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        now = self._engine.statistics()
        yield GaugeMetricFamily("bedplate_requests_running", "Requests that hold a place in the batch.", now.running)
        yield GaugeMetricFamily("bedplate_requests_queued", "Requests that wait for a place.", now.queued)
        yield GaugeMetricFamily("bedplate_kv_blocks_used", "KV blocks of running requests.", now.kv_blocks_used)
        yield GaugeMetricFamily("bedplate_kv_blocks", "KV blocks that the engine has room for.", now.kv_blocks_total)
        yield CounterMetricFamily("bedplate_prompt_tokens", "Prompt tokens of started requests.", now.prompt_tokens)
        yield CounterMetricFamily("bedplate_cached_prompt_tokens", "Those loaded from KV memory.", now.cached_tokens)
        yield CounterMetricFamily("bedplate_generated_tokens", "Tokens generated.", now.generated_tokens)
