"""Jobs that wait and run, each kept where a pass looks for it.

`entry.py` is one job in its life; `waiting.py` the queue, `deadlines.py` those with one; `holdings.py` what runs, as arrays,
`buckets.py` what of that can make room; `job_index.py` keeps them in step.
"""
