"""From decisions to running jobs and back.

`loop.py` runs `controller.py`, which keeps `book.py` true to the state database: `carry_out.py` does what was decided,
`following.py` takes in what happened, `endings.py` says what becomes of a job that ended, `batch.py` writes it all at once.
`requests.py` turns records into the scheduler's words, `cores.py` hands out cores, `node_watch.py` asks the engine for nodes,
`scheduler_lock.py` keeps a second scheduler out.
"""
