"""A process for each job: `launcher.py` starts and finds them, `runner.py` runs in them, `job_files.py` is between the two."""
