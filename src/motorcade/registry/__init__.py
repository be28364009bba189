"""The registry: which vehicle is which, and who may come in. `port.py` has the promises."""
