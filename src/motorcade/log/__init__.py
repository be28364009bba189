"""The log: what was acknowledged is here, in order, on disk. `port.py` has the promises."""
