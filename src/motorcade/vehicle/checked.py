"""A text under its checksum, as the car's small files hold it: `crc32 text`, one line. No IO."""

import zlib
from typing import Final

_DIGITS: Final = 8


def write_checked(text: bytes) -> bytes:
    """The line, with its end."""
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_checked(line: bytes) -> bytes | None:
    """The text of a line, with or without its end; `None` if it is damaged."""
    text = line[_DIGITS + 1 :].removesuffix(b"\n")
    return text if line[: _DIGITS + 1] == b"%08x " % zlib.crc32(text) else None
