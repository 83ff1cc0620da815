"""Series drawn from what is known of demand in general, for a model to start from before it has seen much of the real one.

A few weeks of one series are little to learn from. So the trees also see demand of clusters that do not exist: jobs that
arrive (by hour and weekday, in bursts or not, at a level that drifts or jumps), hold a power of two of devices for a
log-normal time and leave; and smooth traffic with a daily wave and noise. Parameters are drawn over wide ranges, none is
fitted to a trace.

Source of the idea: Dooley et al. 2023, "ForecastPFN: synthetically-trained zero-shot forecasting".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bedplate.compute.forecast.series import Floats, Ints

NUM_DAYS = 28
_WARM_UP_DAYS = 14
"""Before a drawn series begins: jobs that started then are still running."""


def drawn_series(count: int, steps_per_day: int, seed: int = 0) -> Iterator[Floats]:
    """`count` series of `NUM_DAYS` days: three of jobs, then one of traffic, and so on."""
    generator = np.random.default_rng(seed)
    for at in range(count):
        yield (_traffic if at % 4 == 3 else _jobs)(generator, steps_per_day)


def _jobs(generator: np.random.Generator, day: int) -> Floats:
    """Devices that the jobs of a cluster ask for."""
    num_steps = (NUM_DAYS + _WARM_UP_DAYS) * day
    middle = np.exp(generator.uniform(np.log(day / 144), np.log(day)))
    spread = generator.uniform(0.8, 2.4)
    sizes = 2.0 ** np.arange(generator.integers(1, 8))
    share = generator.dirichlet(np.full(len(sizes), 0.7))
    mean_duration = min(middle * np.exp(spread**2 / 2), 14.0 * day)
    mean_demand = np.exp(generator.uniform(np.log(5), np.log(300)))
    mean_rate = mean_demand / (share @ sizes) / mean_duration
    rate = np.exp(_wave(generator, num_steps, day) + _level(generator, num_steps, day))
    arrivals = generator.poisson(np.minimum(mean_rate * rate / rate.mean(), 40 * mean_rate))
    if generator.random() < 0.5:  # users submit many at a time
        arrivals = arrivals * 3 * (generator.random(num_steps) < 0.3)
    start = np.repeat(np.arange(num_steps), arrivals)
    size = generator.choice(sizes, size=len(start), p=share)
    duration = np.ceil(np.minimum(middle * np.exp(spread * generator.normal(size=len(start))), 14.0 * day)).astype(np.int64)
    demand: Floats = _in_progress(start, duration, size, num_steps)
    if generator.random() < 0.3:  # a quota cuts what can be asked for
        demand = demand.clip(max=float(np.quantile(demand, generator.uniform(0.6, 1.0))))
    return demand[-NUM_DAYS * day :]


def _in_progress(start: Ints, duration: Ints, size: Floats, num_steps: int) -> Floats:
    ends = np.minimum(start + duration, num_steps)
    change = np.bincount(start, size, num_steps + 1) - np.bincount(ends, size, num_steps + 1)
    demand = np.cumsum(change)[:num_steps]
    mean: Floats = (demand + np.concatenate([demand[:1], demand[:-1]])) / 2  # jobs start within a step
    return mean


def _traffic(generator: np.random.Generator, day: int) -> Floats:
    num_steps = NUM_DAYS * day
    noise = np.exp(generator.normal(size=num_steps) * generator.uniform(0, 0.15))
    wave = np.exp(0.6 * _wave(generator, num_steps, day) + 0.5 * _level(generator, num_steps, day))
    return 100 * wave * noise


def _wave(generator: np.random.Generator, num_steps: int, day: int) -> Floats:
    """Logarithm of the rhythm of days and, in most series, of weekends."""
    steps = np.arange(num_steps)
    phase = steps % day / day
    weekday = (steps // day + generator.integers(7)) % 7
    height = generator.uniform(0, 1.5)
    wave = height * np.sin(2 * np.pi * (phase - generator.random()))
    wave += height * generator.uniform(0, 0.7) * np.sin(4 * np.pi * (phase - generator.random()))
    has_weekends = generator.random() < 0.6
    return wave - (weekday >= 5) * generator.uniform(0, 1.2) * has_weekends


def _level(generator: np.random.Generator, num_steps: int, day: int) -> Floats:
    """Logarithm of a level that drifts around its mean and, in half of the series, jumps."""
    memory = day * np.exp(generator.uniform(np.log(0.2), np.log(10)))
    shocks = generator.normal(size=num_steps) * generator.uniform(0, 1.2) * np.sqrt(2 / memory)
    level = _decaying_sum(shocks, 1 - 1 / max(memory, 1.5))
    if generator.random() < 0.5:
        days_apart = np.exp(generator.uniform(0, np.log(10)))
        jumps = np.sort(generator.integers(0, num_steps, generator.poisson(num_steps / day / days_apart)))
        heights = generator.normal(size=len(jumps) + 1) * generator.uniform(0.2, 1.5)
        level = level + heights[np.searchsorted(jumps, np.arange(num_steps), side="right")]
    return level


def _decaying_sum(shocks: Floats, kept: float) -> Floats:
    from scipy.signal import lfilter

    filtered: Floats = lfilter([1.0], [1.0, -kept], shocks)
    return filtered
