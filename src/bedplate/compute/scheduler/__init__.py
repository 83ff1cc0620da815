"""Who runs where, and when: one scheduler for live clusters and for the simulator.

- Words: `job.py` (what is asked for and held), `decision.py` (what is decided), `settings.py` (how).
- `state.py`: all that is known; changed by what happened, never by `decide`. Beside it `occupy.py` (taking places and giving
  them back), `retarget.py` (other numbers of workers) and `unsatisfiable.py` (what can never run).
- Questions to the state, which change nothing: `decide.py` (`decide(state, now) -> decisions`: no clock, no I/O), `why.py` (why
  a job waits), `wake.py` (when to look again though nothing happened).
- `passes/`: what one `decide` does, step by step.
- `jobs/`: jobs that wait and run. `nodes/`: what there is to run on, and what fits there. `quota/`: tenants and their accounts.
- `queue/`: in which order jobs are looked at, one rule a file.
- `placement/`: where a worker goes, one policy a file.

Rooms import downwards only: passes, state, jobs, nodes and queue, placement and quota, words (checked by the import linter).
"""
