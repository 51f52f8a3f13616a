"""Many runs of one strategy, a combination of parameters each: planned, run side by side, kept, looked at."""
