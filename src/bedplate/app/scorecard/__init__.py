"""Use cases of the scorecard."""
