"""Training: exact gradient accumulation, sharded optimiser state, checkpoints that survive the process."""
