"""Where work runs: one small protocol, one package an engine."""
