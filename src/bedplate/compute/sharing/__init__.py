"""Shares of a device, and what holds a task to its share; one file a mechanism. One that nothing enforces is `logical`."""
