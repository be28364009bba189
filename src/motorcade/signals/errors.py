"""What can be wrong with a payload: its sender's fault. The record is counted, yields nothing."""


class MalformedPayloadError(ValueError):
    """The payload is not what its encoding says; the text names the place."""
