"""How the replicas of a service follow its load: the settings that people write."""

from __future__ import annotations

import enum
import math
from typing import Annotated

from bedplate.core.errors import UsageError
from bedplate.core.settings import Range, settings
from bedplate.core.units import Duration, Fraction


class CapacityMode(enum.StrEnum):
    """What the number of replicas is taken from."""

    STATIC = "static"
    """Always the most."""
    REACTIVE = "reactive"
    """The load of the last step over a target utilisation; fewer only when that has held for a while."""
    FORECAST = "forecast"
    """The highest load that is likely before a replica that is started later would be ready; reactive while the forecast is
    not sure of itself."""


@settings
class Following:
    """What a service is like, and how its replicas follow the load."""

    per_replica: Annotated[float, Range(1e-9)]
    """Load that one replica carries within its latency target, in the units of the load."""
    start: Annotated[Duration, Range(0)] = 60.0
    """Time from the decision to start a replica until it serves."""
    least: Annotated[int, Range(1)] = 1
    """Fewest replicas."""
    most: Annotated[int, Range(1)] = 8
    """Most replicas."""
    capacity: CapacityMode = CapacityMode.FORECAST
    """What the number of replicas is taken from."""
    every: Annotated[Duration, Range(1)] = 600.0
    """Step of the load: it is averaged over this, and a forecast is made once for each; divides a day."""
    target: Annotated[Fraction, Range(0.01, 1)] = 0.8
    """Utilisation that reactive capacity aims at: what is left is for load that rises while a replica starts."""
    hold: Annotated[Duration, Range(0)] = 300.0
    """Replicas are stopped only when fewer have been enough for this long."""
    least_coverage: Annotated[Fraction, Range(0, 1)] = 0.6
    """A forecast is followed while this share of the last days' load was within its 80 % intervals; else capacity is
    reactive."""
    margin: Annotated[Fraction, Range(0, 1)] = 0.0
    """Replicas beyond those that the highest likely load needs, as a share of it: for load that even a forecast misses."""
    lend: Annotated[Duration, Range(0)] = 10_800.0
    """How far ahead guaranteed quota may be lent; 0 lends none."""

    def __post_init__(self) -> None:
        if self.most < self.least:
            raise UsageError("the bounds of the replicas cross", seen=f"{self.least} to {self.most}", expected="least <= most")
        if abs(86_400 / self.every - round(86_400 / self.every)) > 1e-9:
            raise UsageError("the step must divide a day", seen=f"{self.every:g} s", expected="such as 1m, 10m or 1h")

    @property
    def ahead_s(self) -> float:
        """Until a replica of the next decision serves, what is decided now must do: so long, in whole steps."""
        return self._steps * self.every

    @property
    def horizons_s(self) -> tuple[float, ...]:
        """How far ahead forecasts are needed: while what is decided now must do, and until loans end at the latest."""
        wanted = {math.ceil(self._steps / 2), self._steps}
        if self.lend:
            longest = max(1, int(self.lend / self.every))
            wanted |= {max(1, longest // 3), longest}
        return tuple(count * self.every for count in sorted(wanted))

    @property
    def _steps(self) -> int:
        return math.ceil((self.start + self.every) / self.every - 1e-9)
