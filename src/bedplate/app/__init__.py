"""The only place that joins parts in the control process."""
