"""The brains: pure state machines and the one turn that runs them. No clock, socket, disk, thread or randomness."""
