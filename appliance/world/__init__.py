"""The same cores without the machine: backtests by direct calls, and a seeded world of faults."""
