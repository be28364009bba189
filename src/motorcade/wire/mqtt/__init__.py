"""MQTT 3.1.1 and 5.0, both directions: bytes in, packets out, and back. No socket, no clock.

Source: OASIS MQTT 5.0 and OASIS MQTT 3.1.1. A statement like [MQTT-3.3.1-4] names 5.0's numbering;
where a rule is 3.1.1's alone the text says so. Start reading at `packets.py`.
"""
