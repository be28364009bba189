"""The keys that sign tokens: the newest signs, older ones verify what they signed. No IO.

A ring is a text of PEM blocks, the newest first, each below a line that says when it was made. A
file of before there were rings is one block without the line.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

_MADE: Final = "# made_time_us "
_BLOCK: Final = re.compile(
    rb"(?:^# made_time_us (?P<made>[0-9]{1,19})\n)?"
    rb"(?P<pem>^-----BEGIN [A-Z ]+-----\n.*?^-----END [A-Z ]+-----$)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key of the ring."""

    id: str  # the header `kid`: the first 64 bits of the public point's SHA-256, in hex
    key: ECKey
    pem: bytes
    made_time_us: int  # 0 where the file does not say

    @property
    def text(self) -> bytes:
        return f"{_MADE}{self.made_time_us}\n".encode() + self.pem + b"\n"


def make_key(now_us: int) -> TokenKey:
    """A new key, P-256."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _key(pem.strip(), now_us)


def read_ring(text: bytes) -> list[TokenKey]:
    """The keys, the newest first. Raises `ValueError` when there is none, or one is not P-256."""
    found = [_key(block["pem"], int(block["made"] or 0)) for block in _BLOCK.finditer(text)]
    if not found:
        raise ValueError("no PEM block in it")
    return found


def write_ring(keys: Sequence[TokenKey]) -> bytes:
    """The inverse of `read_ring`."""
    return b"".join(key.text for key in keys)


def needed(ring: Sequence[TokenKey], now_us: int, *, kept_s: int) -> list[TokenKey]:
    """The ring without keys that have signed nothing for `kept_s`, a token's life."""
    ended_us = now_us - kept_s * 1_000_000
    return [
        key
        for position, key in enumerate(ring)
        if position < 1 or ring[position - 1].made_time_us > ended_us
    ]


def _key(pem: bytes, made_time_us: int) -> TokenKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ValueError("not a P-256 key")
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    key_id = hashlib.sha256(point).hexdigest()[:16]
    return TokenKey(key_id, ECKey.import_key(pem), pem, made_time_us)
