"""What the gateway reads of payloads: the sender's time, a VIN to hide."""
