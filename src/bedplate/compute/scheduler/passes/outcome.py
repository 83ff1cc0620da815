"""What came of trying to start a job."""

from __future__ import annotations

import enum


class Outcome(enum.Enum):
    """Each with what it says to people."""

    STARTED = "it starts"
    LIMIT = "its tenant is at its limit"
    PINNED = "it cannot be preempted, and would take what others are guaranteed"
    NO_ROOM = "there is no room"
    RESERVED = "what is free is kept for jobs before it"
    LATER = "it ends earlier if it waits for a faster model"
