"""Reading a request: its schema, parameters, messages and prompts, and the plan of its answers."""
