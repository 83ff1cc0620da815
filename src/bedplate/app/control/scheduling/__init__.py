"""From decisions to running jobs and back.

`loop.py` runs `controller.py`, which keeps `book.py` true to the state database: `carry_out.py` does what was decided,
`following.py` takes in what happened, `endings.py` says what becomes of a job that ended, `batch.py` writes it all at once.
`requests.py` turns records into the scheduler's words, `cores.py` hands out cores, `node_watch.py` asks the engine for nodes,
`capacity.py` lets capacity follow load, `scheduler_lock.py` keeps a second scheduler out.

What is believed of jobs and models: `progress.py` says how long jobs still run, `device_facts.py` what models are at first,
`learning.py` and `achieved.py` what jobs reach on them, `estimates.py` what one job would take on each.
"""
