"""What a WebSocket peer can get wrong, with the answer that RFC 6455 gives to it."""

from enum import IntEnum


class CloseCode(IntEnum):
    """Why a connection is closed (RFC 6455 §7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    TRY_AGAIN_LATER = 1013


class HandshakeError(Exception):
    """A request that is no WebSocket upgrade. `status` is the HTTP status to answer with."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class FrameError(Exception):
    """Bytes after which the connection cannot go on. `code` goes into the close frame."""

    def __init__(self, code: CloseCode, text: str) -> None:
        super().__init__(text)
        self.code = code
