"""From the load of services to the replicas that they should have now, and to the quota that they can lend meanwhile.

Pure of input and output: whoever owns it feeds it load and asks; the same load gives the same answers. A forecast is followed
while its own record says that it can be: otherwise, and while there is too little history, capacity is reactive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bedplate.compute.capacity.following import CapacityMode, Following
from bedplate.compute.capacity.loans import Guarantee, Loan, loan_of
from bedplate.compute.forecast.capacity import Quantiles, replicas_needed, serving_replicas
from bedplate.compute.forecast.online import Confidence, OnlineForecaster
from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.units import format_duration


class LoadForecaster(Protocol):
    """Forecasts of one load that grows; see `OnlineForecaster`."""

    def observe(self, at_s: float, value: float) -> None:
        """Take in one observation."""
        ...

    def forecast(self, horizon_s: float) -> Quantiles:
        """Load that far ahead; raises UnavailableError where there is too little history."""
        ...

    def confidence(self, horizon_s: float) -> Confidence:
        """Its record at one of its horizons; raises as `forecast`."""
        ...


Forecasting = Callable[[Following], LoadForecaster]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a service should have now."""

    service: str
    replicas: int
    mode: CapacityMode
    """What it was taken from: `reactive` too where a forecast was not sure of itself."""
    reason: str
    """For people."""
    loan: Loan | None = None
    """What its tenant lends now."""


@dataclass(slots=True, kw_only=True)
class _Service:
    """One service; its owner is the controller."""

    following: Following
    forecaster: LoadForecaster | None
    guarantee: Guarantee | None
    load: float | None = None
    """The last that was seen."""
    seen_s: float = 0.0
    wanted: deque[tuple[float, int]] = field(default_factory=deque)
    """What was found enough within the time that a smaller number must hold."""
    loan: Loan | None = None


def online(following: Following) -> LoadForecaster:
    """The forecaster of a live service."""
    return OnlineForecaster(step_s=following.every, horizons_s=following.horizons_s)


class CapacityController:
    """All services. Has one owner; not thread-safe.

    Args:
        forecasting: Makes the forecaster of a service that asks for one.
    """

    def __init__(self, forecasting: Forecasting = online) -> None:
        self._forecasting = forecasting
        self._services: dict[str, _Service] = {}

    def add(self, service: str, following: Following, guarantee: Guarantee | None = None) -> None:
        """A service is there; one that was there already is another one from now on."""
        is_forecast = following.capacity is CapacityMode.FORECAST
        self._services[service] = _Service(
            following=following, forecaster=self._forecasting(following) if is_forecast else None, guarantee=guarantee
        )

    def remove(self, service: str) -> None:
        """A service is gone; nothing happens if it was not there."""
        self._services.pop(service, None)

    def __contains__(self, service: str) -> bool:
        return service in self._services

    def observe(self, service: str, at_s: float, load: float) -> None:
        """The load of a service.

        Raises:
            NotFoundError: No such service.
            UsageError: Negative, not a finite number, or older than the last one.
        """
        known = self._service(service)
        if not 0 <= load < float("inf"):
            raise UsageError("no such load", seen=load, expected="a number, 0 or more")
        if known.load is not None and at_s < known.seen_s:
            raise UsageError("load must come in order", seen=at_s, expected=f"{known.seen_s} or later")
        known.load, known.seen_s = load, at_s
        if known.forecaster is not None:
            known.forecaster.observe(at_s, load)

    def targets(self, now: float) -> tuple[Target, ...]:
        """What each service should have now, in the order of their names; services whose load nobody knows have their least."""
        return tuple(self.target(name, now) for name in sorted(self._services))

    def target(self, service: str, now: float) -> Target:
        """The same for one service; raises NotFoundError if there is none of that name."""
        known = self._service(service)
        following = known.following
        if following.capacity is CapacityMode.STATIC:
            return Target(service=service, replicas=following.most, mode=CapacityMode.STATIC, reason="always the most")
        if known.load is None:
            reason = "no load was reported yet"
            return Target(service=service, replicas=following.least, mode=CapacityMode.REACTIVE, reason=reason)
        path, doubt = _path(known)
        if path:
            found = _forecast(known, path)
        else:
            found = (
                _reactive(known),
                f"load {known.load:.4g} at {following.target:.0%} of {following.per_replica:g} a replica{doubt}",
            )
        replicas, held = _held(known, found[0], now)
        if path and known.guarantee is not None and following.lend:
            known.loan = loan_of(
                known.guarantee,
                path,
                replicas,
                load_per_replica=following.per_replica,
                ahead_s=following.ahead_s,
                now=now,
                running=known.loan,
            )
        elif known.loan is not None and known.loan.until_s <= now:
            known.loan = None
        mode = CapacityMode.FORECAST if path else CapacityMode.REACTIVE
        return Target(service=service, replicas=replicas, mode=mode, reason=found[1] + held, loan=known.loan)

    def _service(self, service: str) -> _Service:
        try:
            return self._services[service]
        except KeyError:
            raise NotFoundError("no such service", seen=service, expected=", ".join(sorted(self._services))) from None


def _path(known: _Service) -> tuple[list[Quantiles], str]:
    """Load ahead; empty, and why, where capacity is reactive."""
    if known.forecaster is None:
        return [], ""
    horizons_s = known.following.horizons_s
    try:
        confidence = known.forecaster.confidence(horizons_s[0])
        path = [known.forecaster.forecast(horizon_s) for horizon_s in horizons_s]
    except UnavailableError:
        return [], "; too little history to forecast"
    except ImportError as error:
        return [], f"; forecasting is not installed: {error}"
    covered = confidence.coverage_80_frac
    if covered is None or covered < known.following.least_coverage:
        said = "no record yet" if covered is None else f"{covered:.0%} of the last days within its 80 % intervals"
        return [], f"; the forecast is not sure of itself: {said}"
    return path, ""


def _forecast(known: _Service, path: list[Quantiles]) -> tuple[int, str]:
    following = known.following
    assert known.load is not None
    near = [item for item in path if item.ahead_s <= following.ahead_s]
    carries = following.per_replica / (1 + following.margin)
    replicas = serving_replicas(known.load, near, following.ahead_s, carries, least=following.least, most=following.most)
    peak, until_s = max(item.high for item in near), near[-1].ahead_s
    return replicas, f"load {known.load:.4g} now, at most {peak:.4g} likely within {format_duration(until_s)}"


def _reactive(known: _Service) -> int:
    following = known.following
    assert known.load is not None
    return replicas_needed(known.load, following.per_replica * following.target, least=following.least, most=following.most)


def _held(known: _Service, replicas: int, now: float) -> tuple[int, str]:
    """The most that was found within `hold`."""
    while known.wanted and known.wanted[0][0] < now - known.following.hold:
        known.wanted.popleft()
    known.wanted.append((now, replicas))
    most = max(count for _, count in known.wanted)
    return most, f"; {most} were needed within {format_duration(known.following.hold)}" if most > replicas else ""
