"""Stores of training checkpoints: memory files that outlive the workers, and folders that outlive the machine's memory."""
