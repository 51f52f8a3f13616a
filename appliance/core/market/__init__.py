"""The simulated market, by parts: ``simulator`` is the venue, ``crossing`` what an event does to an order, ``matching``
at what price, ``resting`` its rows, ``lending`` what a margin account costs.
"""
