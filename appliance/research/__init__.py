"""What is done with strategies before and beside trading: checks against self-deception."""
