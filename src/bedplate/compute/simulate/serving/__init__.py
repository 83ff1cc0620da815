"""A service beside the jobs of a trace: its replicas follow a recorded load, by modes of capacity side by side."""
