"""What one run leaves: its result and the folder it appears in, what it was made from, and what speaks against it."""
