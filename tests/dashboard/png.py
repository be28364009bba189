"""A screenshot as a PNG with a palette: a third of the bytes, and nobody sees the difference.

Pixels in, bytes out. Source: W3C PNG (third edition), §11.2; rows unfiltered, as is best for
indices (§12.7). The commonest colours are kept as they are; the rest, edges of letters, become the
nearest.
"""

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

COLOURS_MAX: Final = 256
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
Pixels = npt.NDArray[np.uint8]
"""[row, column, 3]: red, green, blue."""


def palette_png(pixels: Pixels) -> bytes:
    """The picture in at most `COLOURS_MAX` colours."""
    height, width, _ = pixels.shape
    packed = (pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)).ravel()
    colours, where, counts = np.unique(packed, return_inverse=True, return_counts=True)
    palette = chosen(_apart(colours), counts)
    nearest = np.empty(len(colours), np.uint8)
    for first in range(0, len(colours), 4_096):
        some = _apart(colours[first : first + 4_096])
        away = ((some[:, None] - palette[None]) ** 2).sum(axis=2)
        nearest[first : first + 4_096] = away.argmin(axis=1)
    rows = np.zeros((height, 1 + width), np.uint8)  # 0: not filtered
    rows[:, 1:] = nearest[where].reshape(height, width)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return (
        _SIGNATURE
        + _chunk(b"IHDR", head)
        + _chunk(b"PLTE", palette.astype(np.uint8).tobytes())
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def chosen(colours: npt.NDArray[np.int32], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The palette: half of it the commonest, half those that are worst off with these so far."""
    order = np.argsort(-counts, kind="stable")
    if len(colours) <= COLOURS_MAX:
        return colours[order]
    half = COLOURS_MAX // 2
    picked = list(order[:half])
    away = np.full(len(colours), np.iinfo(np.int32).max, np.int64)
    for index in picked:
        away = np.minimum(away, ((colours - colours[index]) ** 2).sum(axis=1))
    while len(picked) < COLOURS_MAX:
        worst = int((away * np.sqrt(counts)).argmax())
        picked.append(worst)
        away = np.minimum(away, ((colours - colours[worst]) ** 2).sum(axis=1))
    return colours[picked]


def _apart(packed: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.int32)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
