"""Jobs with durations, replayed in virtual time against the scheduler's own `decide`."""
