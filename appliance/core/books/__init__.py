"""A run's accounting: ``entries`` are its shapes, ``book`` keeps them by listening, ``lots`` makes trades by FIFO."""
