"""How much of a result is luck: resampling, overfitting, plateaus."""
