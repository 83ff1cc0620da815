"""What filters and scores know: facts about nodes that the scheduler has and a policy has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Bools, Floats, Ints
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.request import WHOLE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """For one request class at one time; arrays have the shape (N,), None is unknown."""

    cluster: Cluster
    item: int
    """Class of the request."""
    health_N: Floats | None = None
    """What screening and incidents say: 1 sound, 0 as bad as can be."""
    least_health: float = 0.5
    """Nodes under it are not used, 0 to 1."""
    speed: Mapping[str, float] = field(default_factory=dict)
    """How fast the job is on a model, as a part of its fastest, over 0; 1 where it is not known."""
    least_speed: float = 0.0
    """Models under it are not used, 0 to 1."""
    siblings_N: Ints | None = None
    """Replicas of the same service, or workers of the same job, on each node."""
    reserved_N: Bools | None = None
    """Nodes that are kept for others."""

    @property
    def num_nodes(self) -> int:
        """N."""
        return len(self.cluster.nodes)

    @property
    def scale(self) -> float:
        """The unit of a bias: what the request holds, in thousandths of a device; of one device where it needs none."""
        return float(self.cluster.classes[self.item].device_milli or WHOLE)

    def speed_of_nodes(self) -> Floats:
        """Speed on each node: on the fastest of its devices that the request accepts; 1 where it has none."""
        cluster = self.cluster
        speed_by_model = np.array([self.speed.get(model, 1.0) for model in cluster.models] or [1.0])
        models = cluster.free.model
        is_there_NG = np.arange(models.shape[1]) < cluster.free.devices[:, None]
        is_accepted_NG = is_there_NG & ((cluster.requests.models[self.item] >> models) & 1).astype(bool)
        fastest_N: Floats = np.where(is_accepted_NG, speed_by_model[models], 0.0).max(axis=1, initial=0.0)
        return np.where(fastest_N > 0, fastest_N, 1.0)
