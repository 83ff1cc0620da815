"""One pass over the state.

`scheduling_pass.py` is the order of things; `walk.py` hands out waiting jobs, `admission.py` says what a tenant may have,
`reservations.py` keeps places for blocked jobs (backfill), `claims.py` says who may take whose place and `victims.py` finds
whom to ask (preemption); `off_target.py` brings jobs to numbers of workers that were changed, `outcome.py` names what came of
trying to start a job.
"""
