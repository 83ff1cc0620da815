"""The host that bedplate runs on."""
