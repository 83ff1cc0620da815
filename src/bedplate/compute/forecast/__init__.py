"""Demand ahead of time, as quantiles, and the capacity that follows it.

Read in this order: `reading` (a trace becomes a `series`), `naive` and `members` (what a forecast may be made of), `boosting`
and `statistical` (the two that learn), `table` (what each member said at every moment of the past), `combination`, `selection`
and `intervals` (one answer, and how sure it is), `evaluate` (the answer on days that nobody saw), `online` (the same while
values arrive); then `capacity` (pure policies over quantiles) and `replay` (what the policies cost and whom they hurt).
"""
