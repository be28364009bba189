"""What cars send up about commands: bytes to `Hello`, `Answer`, `Journal`, and back. No IO."""

from typing import Final

import msgspec

from motorcade.wire.command.errors import MalformedMessageError, MessageTooLargeError
from motorcade.wire.command.messages import UpMessage

UP_BYTES_MAX: Final = 160 << 10
"""A journal of 256 entries with the longest ids and reasons fits, and 32 KiB of responses."""

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(UpMessage)


def write_up(message: UpMessage) -> bytes:
    """Encode for the vehicle's `command_answers` topic."""
    return _encoder.encode(message)


def read_up(payload: bytes) -> UpMessage:
    """Read what a vehicle sent.

    Raises:
        MessageTooLargeError: more than `UP_BYTES_MAX`.
        MalformedMessageError: not one of the three, or a field is missing or out of range.
    """
    if len(payload) > UP_BYTES_MAX:
        raise MessageTooLargeError(f"message of {len(payload)} bytes, limit {UP_BYTES_MAX}")
    try:
        message: UpMessage = _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise MalformedMessageError(f"not a message from a car: {error}") from error
    return message
