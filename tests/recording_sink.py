"""An event sink for tests: keeps what it is given, and refuses kinds that are not in the catalogue."""

from dataclasses import dataclass, field

from bedplate.core.events.event import Event, MetricSample, SinkStatistics
from bedplate.core.events.kinds import EVENT_KINDS


@dataclass
class RecordingSink:
    """Everything that was emitted, in order."""

    events: list[Event] = field(default_factory=list)
    samples: list[MetricSample] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        assert event.kind in EVENT_KINDS, f"declare the event kind {event.kind!r} in core/events/kinds.py"
        self.events.append(event)

    def sample(self, sample: MetricSample) -> None:
        self.samples.append(sample)

    def statistics(self) -> SinkStatistics:
        return SinkStatistics(written=len(self.events) + len(self.samples))

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]
