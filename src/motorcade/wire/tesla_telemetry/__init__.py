"""Tesla's Fleet Telemetry inside a WebSocket message: envelope, answers, payload shapes. Sans-IO.

Both ends are here: the server's (`parse_envelope`, `encode_ack`, `encode_error`, `inspect`) and the
car's (`encode_stream`, `decode_answer`).
"""
