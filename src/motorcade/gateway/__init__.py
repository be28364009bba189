"""The door: sockets, admission, sessions, acks. Records go in at one place, `intake.py`."""
