"""The version of the package; alone in its file so that no part climbs to the root for it."""

__version__ = "0.1.0"
