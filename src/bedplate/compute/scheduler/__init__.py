"""Who runs where, and when: one scheduler for live clusters and for the simulator.

- `job.py`, `decision.py`, `tenants.py`: the words: what is asked, what is decided, who may have how much.
- `state.py`: what waits, what runs, what is free; changed by what happened, never by `decide`.
- `decide.py`: `decide(state, now) -> decisions`: pure, no clock, no I/O.
- `queue/`: in which order jobs are looked at, one policy a file.
- `placement/`: where a worker goes, one policy a file.
"""
