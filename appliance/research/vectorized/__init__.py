"""A rule over whole arrays: ``running`` turns targets into fills, ``at_once`` where a formula will do, ``executions``
one after the other; ``agreement`` compares it with the event-driven run.
"""
