"""A trading appliance: a small headless box that runs its owner's strategies for months by itself."""

__version__ = "0.1.0"
