"""The sandbox: the whole platform, simulated cars, and faults on demand. Nobody imports it: it is
composition, as `app.py` and `roles/` are, and `motorcade up` does not load it."""
