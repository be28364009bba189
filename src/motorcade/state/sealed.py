"""A file that is whole or not there: checksummed, written beside, renamed. For snapshots.

A header (magic, body length, xxh3-128 of the body) and the body. It is written beside, synced, then
renamed and the directory synced: a crash leaves the old name or the new one, never half a file
under either.
"""

import struct
from pathlib import Path
from typing import Final

import xxhash

from motorcade.durable import Files

MAGIC_BYTES: Final = 8  # the last of them is the version: another one is not read
_HEADER: Final = struct.Struct("<8sQ16s")
_BESIDE: Final = "writing"


def write_sealed(files: Files, path: Path, magic: bytes, body: bytes) -> None:
    """Put `body` under this name, durably. One process at a time writes in a directory.

    Raises:
        OSError: the disk failed; what was under the name is still there.
    """
    assert len(magic) == MAGIC_BYTES
    beside = path.parent / _BESIDE
    fd = files.open(beside, create=True)
    try:
        header = _HEADER.pack(magic, len(body), xxhash.xxh3_128_digest(body))
        files.truncate(fd, 0)
        files.write(fd, [header, body], 0)
        files.sync(fd)
    finally:
        files.close(fd)
    files.rename(beside, path)
    files.sync_directory(path.parent)


def read_sealed(files: Files, path: Path, magic: bytes) -> bytes | None:
    """The body under this name; `None` when it is damaged or of another kind or version.

    Raises:
        OSError: the disk failed, or there is no such file.
    """
    fd = files.open(path, create=False)
    try:
        data = bytearray(files.size(fd))
        count = files.read(fd, memoryview(data), 0)
    finally:
        files.close(fd)
    if count < _HEADER.size:
        return None
    found, length, digest = _HEADER.unpack_from(data)
    body = bytes(memoryview(data)[_HEADER.size : count])
    sound = found == magic and len(body) == length
    return body if sound and xxhash.xxh3_128_digest(body) == digest else None
