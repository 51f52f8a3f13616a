"""Is it believable? Every bar, quote and trade is judged before anybody acts on it."""
