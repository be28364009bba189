"""The MQTT door: sockets, sessions, routing from the log, commands down. Start at `door.py`."""
