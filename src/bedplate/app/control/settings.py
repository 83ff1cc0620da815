"""Settings of the service: the options of `bedplate up`."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.core.settings import Range, settings
from bedplate.core.units import ByteCount, Count, Duration


@settings
class ServiceSettings:
    """What an operator may set of the service."""

    host: str = "127.0.0.1"
    """Address to listen on: this machine's own. For others, put a proxy with TLS before it and name it by `allow-host`."""
    port: Annotated[int, Range(0, 65535)] = 8420
    """Port to listen on; 0 takes a free one."""
    allow_host: tuple[str, ...] = ()
    """Names beside this machine's own that requests may be sent to: those of a proxy before the service."""
    max_jobs: Annotated[Count, Range(1)] = 20_000
    """Jobs that may wait and run at the same time; more are refused for the moment."""
    max_priority: Annotated[int, Range(-1000, 1000)] = 100
    """Highest priority that users may ask for; operators and admins may go higher."""
    max_body: Annotated[ByteCount, Range(1000)] = 4_000_000
    """Largest body of a request."""
    pass_every: Annotated[Duration, Range(0.01)] = 0.5
    """The scheduler looks at least so often at what happened; what is submitted or cancelled wakes it at once."""
    capacity_every: Annotated[Duration, Range(0.05)] = 5.0
    """How often it is looked at the load of services whose replicas follow it."""
    nodes_every: Annotated[Duration, Range(0.1)] = 2.0
    """How often the engine is asked which nodes there are."""
    prices: str | None = None
    """File of what devices cost; else 'prices.yaml' in the service's folder, where there is one."""
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    """How to decide."""
