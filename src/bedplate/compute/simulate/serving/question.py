"""The question of how a service should follow its load; separate from the answer, so that reading it loads no numerics."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from bedplate.compute.capacity.following import CapacityMode, Following
from bedplate.core.errors import UsageError
from bedplate.core.settings import InputFile, Range, settings


@settings
class ServingLoad:
    """A service and its recorded load."""

    load: InputFile
    """CSV with a time column and numbers, also `.csv.gz`: the load of the service."""
    column: str
    """The column that is the load; `a+b` is the sum of two."""
    time: str | None = None
    """The time column; by default one with a usual name, else the first."""
    days: Annotated[float, Range(0.01)] = 7.0
    """The last days of the load are simulated; what precedes them is history that forecasts rest on."""
    follow: Following = field(default_factory=lambda: Following(per_replica=1.0))
    """What a replica carries and how long it takes to start."""
    devices: Annotated[int, Range(1)] = 1
    """Accelerators of one replica."""
    accelerator: str | None = None
    """Model that replicas run on; any by default."""
    tenant: str = "serving"
    """Whose quota they count against; it is guaranteed what the most replicas take."""
    priority: int = 0
    """Of the service among the jobs of the trace."""


@settings
class ServingQuestion:
    """A question as people write it; the jobs beside the service are those of `compute simulate`."""

    serving: ServingLoad
    """The service."""
    capacity: tuple[CapacityMode, ...] = tuple(CapacityMode)
    """Modes side by side."""

    def __post_init__(self) -> None:
        if self.serving.follow.capacity is not CapacityMode.FORECAST:
            raise UsageError(
                "the modes of a simulation stand side by side",
                seen=f"one for the service: {self.serving.follow.capacity.value}",
                expected="--capacity MODE, once for each",
            )
        if not self.capacity or len(set(self.capacity)) < len(self.capacity):
            raise UsageError(
                "modes of capacity must be there, each once", seen=", ".join(self.capacity), expected="such as reactive"
            )
