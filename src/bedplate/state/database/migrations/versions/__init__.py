"""One file a revision. A revision that was released is never edited; a change of the tables is a new one."""
