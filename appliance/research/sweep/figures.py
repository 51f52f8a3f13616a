"""Which figures of a run stand in the table of a sweep."""

from __future__ import annotations

from appliance.research.analysis import METRICS

PERIODS = "periods"
"""How many daily returns a year has, 252 or 365."""
COUNTED = ("orders", "fills", "denied", PERIODS)
"""What of a run stands beside its figures."""
FIGURES = (*COUNTED, *(row.name for row in METRICS))
"""What can be an objective, or stand in a condition on results."""
