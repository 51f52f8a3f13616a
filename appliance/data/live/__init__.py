"""Live data: several sources at once, one sequence of bars; which source is believed, and who takes over."""
