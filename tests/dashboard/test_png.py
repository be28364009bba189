"""Pictures for `docs/`: few colours stay as they are, many become the nearest of 256."""

import struct
import zlib

import numpy as np

from tests.dashboard.png import COLOURS_MAX, Pixels, palette_png


def pixels_of(png: bytes) -> Pixels:
    """Read what `palette_png` writes: the chunks' sums too."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size) == (zlib.crc32(kind + body),)
        found[kind] = body
        at += 12 + size
    width, height, bits, form = struct.unpack_from(">IIBB", found[b"IHDR"])
    assert (bits, form) == (8, 3)
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, 1 + width)
    assert not rows[:, 0].any()
    palette = np.frombuffer(found[b"PLTE"], np.uint8).reshape(-1, 3)
    return palette[rows[:, 1:]]


def test_few_colours_stay_as_they_are() -> None:
    shot = np.random.default_rng(1).integers(0, 2, (7, 5, 3)).astype(np.uint8) * 200
    assert np.array_equal(pixels_of(palette_png(shot)), shot)


def test_of_many_colours_each_becomes_a_near_one_and_the_commonest_stays() -> None:
    shot = np.zeros((64, 64, 3), np.uint8)
    shot[..., 0], shot[..., 1] = np.arange(64) * 4, np.arange(64)[:, None] * 4
    shot[:20] = (11, 16, 22)
    seen = pixels_of(palette_png(shot))
    assert np.array_equal(seen[:20], shot[:20])
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) <= COLOURS_MAX
    away = np.abs(seen.astype(int) - shot.astype(int)).max()
    assert away <= 32
