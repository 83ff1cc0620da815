"""Who runs where, and when: one scheduler for live clusters and for the simulator.

- `job.py`, `decision.py`, `tenants.py`, `settings.py`: the words: what is asked, decided, allowed, and how to decide.
- `state.py`: what waits, what runs, what is free; changed by what happened, never by `decide`. In it: `needs.py` (shapes of
  jobs), `node_book.py`, `ledger.py` (accounts of tenants), `waiting.py`, `job_index.py`, `holdings.py` (what runs, as arrays).
- `decide.py`: `decide(state, now) -> decisions`: pure, no clock, no I/O. In it: `scheduling_pass.py`, `walk.py` (the queue in
  order), `admission.py` (limits), `placer.py`, `reservations.py` (backfill), `claims.py` and `victims.py` (preemption).
- `why.py`: why a job waits. `wake.py`: when to look again though nothing happened. `unsatisfiable.py`: what can never run.
- `queue/`: in which order jobs are looked at, one rule a file.
- `placement/`: where a worker goes, one policy a file.
"""
