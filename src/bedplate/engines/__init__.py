"""Where work runs: one small protocol, one package per engine."""
