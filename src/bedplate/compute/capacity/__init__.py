"""Capacity that follows demand: how many replicas a service should have, and what quota may be lent meanwhile.

- `following.py`: what an operator says of a service: what a replica carries, how long it takes to start, how to follow.
- `controller.py`: `CapacityController`: from load that was seen to replicas and loans; pure, no clock, no I/O.
- `loans.py`: quota that is lent, for how long.

The scheduler turns the numbers into places (`scheduler/retarget.py`); the simulator and the service share both.
"""
