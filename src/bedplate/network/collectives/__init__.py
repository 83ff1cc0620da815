"""What a job's ranks exchange, as flows between hosts."""
