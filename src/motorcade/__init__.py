"""Motorcade: the connected-fleet platform, from the car's signal to the log, to state, and back."""

__version__ = "0.1.0"
