"""What a tag covers besides the payload: tag, length, value, in ascending order of tags. No IO."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

VALUE_BYTES_MAX: Final = 255  # the length is one byte


class Tag(IntEnum):
    """`Signatures.Tag`."""

    SIGNATURE_TYPE = 0
    DOMAIN = 1
    PERSONALIZATION = 2  # the VIN
    EPOCH = 3
    EXPIRES_AT = 4
    COUNTER = 5
    CHALLENGE = 6
    FLAGS = 7
    REQUEST_HASH = 8
    FAULT = 9
    END = 255


def serialize(values: Iterable[tuple[Tag, bytes | int]]) -> bytes:
    """The bytes of `values`, which come in ascending order of tags; integers take four bytes.

    The type and the domain are one byte each: give those as `bytes`.
    """
    parts = bytearray()
    last = -1
    for tag, value in values:
        raw = value.to_bytes(4, "big") if isinstance(value, int) else value
        assert last < tag < Tag.END  # Our order, not the peer's bytes.
        assert len(raw) <= VALUE_BYTES_MAX  # The readers of messages bound what peers give.
        parts += bytes((tag, len(raw))) + raw
        last = tag
    parts.append(Tag.END)
    return bytes(parts)
