"""The words that all parts share: plain frozen dataclasses, protocols, units, errors, events, clocks. Standard library only."""
