"""Figures of a run, pure functions of arrays; ``catalog`` has a row for each."""
