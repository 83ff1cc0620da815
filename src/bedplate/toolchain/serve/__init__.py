"""The built-in inference engine: continuous batching, chunked prefill, prefix reuse; no HTTP."""
