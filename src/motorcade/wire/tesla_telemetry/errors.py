"""What a peer can get wrong. The answer to all of it is the error answer; the text is for logs."""


class TelemetryFormatError(Exception):
    """Bytes that are no Fleet Telemetry message. `txid` is set when it could still be read."""

    def __init__(self, text: str, txid: bytes = b"") -> None:
        super().__init__(text)
        self.txid = txid


class MalformedEnvelopeError(TelemetryFormatError):
    """An offset or length in the flatbuffer points outside the message."""


class MalformedPayloadError(TelemetryFormatError):
    """The payload is not the protobuf message that its record type stands for."""
