"""The vocabulary: frozen values, the order life cycle, the topics table and the wire. No clock, socket or disk."""
