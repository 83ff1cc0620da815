"""The OpenAI-compatible API server, over any `core.generation.GenerationEngine`."""
