"""The vehicle's own program: a car that drives, remembers what it could not send, and obeys.

`agent.py` is where its parts meet; `fleet.py` runs many in one process. It shares with the cloud
only the wire, the signal names and the clock.
"""
