"""Before a job starts: what each slot really does, which of them are fit, and whether the stores can take the work."""
