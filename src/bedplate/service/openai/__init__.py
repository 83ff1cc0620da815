"""The door: an OpenAI-compatible HTTP service over any `core.generation.GenerationEngine`."""
