"""What a caller who showed a token may ask.

`api.py` has all of it, `jobs.py`, `nodes.py`, `quotas.py` and `users.py` a part each; `submission.py` is how a job comes in.
`access.py` and `tokens.py` say who may, `views.py` and `paging.py` what answers look like, `explain.py` why a job waits.
"""
