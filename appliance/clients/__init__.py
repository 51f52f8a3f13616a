"""What rooms that do not know each other share of a peer's own client: no market data and no orders in here."""
