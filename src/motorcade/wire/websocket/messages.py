"""Judges frames by their headers: what may follow what, and which messages are kept.

RFC 6455 §5.4 (fragments). The size limit acts here, on the header: a message over the limit is not
kept but read past, one over the hard limit ends the connection before its bytes have come.
"""

from enum import Enum

from motorcade.wire.websocket.errors import CloseCode, FrameError
from motorcade.wire.websocket.frames import Header, Opcode


class Verdict(Enum):
    """What to do with the payload that follows a header."""

    CONTROL = "a control frame: wait for all of it"
    TEXT = "a text message: no such thing here"
    KEEP = "part of a message within the limit"
    DISCARD = "part of a message over the limit: read past it, hold nothing"


class MessageJudge:
    """One per connection. Call `admit` once per frame of a client, in order."""

    __slots__ = ("_bytes", "_bytes_hard_max", "_bytes_max", "_open")

    def __init__(self, *, message_bytes_max: int, message_bytes_hard_max: int) -> None:
        self._bytes_max = message_bytes_max
        self._bytes_hard_max = message_bytes_hard_max
        self._open = False  # a message has begun and its last frame has not come
        self._bytes = 0  # of the message so far, this frame's payload included

    @property
    def message_open(self) -> bool:
        """Whether the next data frame must be a continuation."""
        return self._open

    def admit(self, header: Header) -> Verdict:
        """Judge the frame with this header.

        Raises:
            FrameError: the order of frames is broken, or the message is over the hard limit.
        """
        if header.opcode.is_control:
            return Verdict.CONTROL
        if header.opcode is Opcode.TEXT:
            return Verdict.TEXT
        if (header.opcode is Opcode.CONTINUATION) != self._open:
            text = "a new message inside another" if self._open else "nothing to continue"
            raise FrameError(CloseCode.PROTOCOL_ERROR, f"{text} (§5.4)")
        self._bytes = header.payload_bytes + (self._bytes if self._open else 0)
        self._open = not header.final
        if self._bytes > self._bytes_hard_max:
            raise FrameError(
                CloseCode.MESSAGE_TOO_BIG,
                f"message of {self._bytes} bytes, limit {self._bytes_hard_max}",
            )
        return Verdict.DISCARD if self._bytes > self._bytes_max else Verdict.KEEP
