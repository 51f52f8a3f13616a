"""What market data and orders share on their way outside: a peer's own client, its traps, what wakes a loop."""
