"""Before a job starts: what each slot really achieves, which are fit, and whether the stores can take the load."""
