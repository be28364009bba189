"""A text under its checksum, as the car's small files hold it: `crc32 text`, one line. No IO."""

import zlib
from typing import Any, Final

import msgspec

_DIGITS: Final = 8


def write_checked(text: bytes) -> bytes:
    """The line, with its end."""
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_checked(line: bytes) -> bytes | None:
    """The text of a line, with or without its end; `None` if it is damaged."""
    text = line[_DIGITS + 1 :].removesuffix(b"\n")
    return text if line[: _DIGITS + 1] == b"%08x " % zlib.crc32(text) else None


def decode_checked(line: bytes, kind: type[Any]) -> Any:
    """The JSON of a line as this type.

    Raises:
        ValueError: the line is damaged, or says something else.
    """
    text = read_checked(line)
    if text is None:
        raise ValueError("checksum")
    try:
        return msgspec.json.decode(text, type=kind)
    except RecursionError as error:
        raise ValueError("nested without end") from error
