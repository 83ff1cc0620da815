"""The service (`bedplate up`): jobs of many users, queued, placed and run.

- `service.py` puts it together, `settings.py` says how it runs, `up.py` starts it, `addresses.py` says where it is found.
- `calls/`: what can be asked of it, by whom; the HTTP layer above (`service/control/`) only reads and writes.
- `scheduling/`: the loop that carries out what the scheduler decides, and what it keeps of jobs, nodes and cores.
- `launching/`: processes that run jobs, and the files between them and the service.
- `client/`: the other side, in Python.
"""
