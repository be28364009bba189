"""Keys of a session: agreement over P-256, and what is derived of it. No IO, no chance.

K = SHA1(x)[:16], x the 32 bytes of the agreed point's coordinate; from K one HMAC key for session
infos and one for commands. K itself encrypts. Source: the protocol document, "Key Agreement".
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from motorcade.wire.tesla_command.errors import InvalidPublicKeyError

PUBLIC_KEY_BYTES: Final = 65  # 04, x, y
PRIVATE_SEED_BYTES: Final = 48  # 128 bits more than the order: no key is likelier than another
SHARED_KEY_BYTES: Final = 16
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class SharedKeys:
    """What one client and one domain of one car have in common."""

    shared: bytes  # K, 16 bytes: AES-GCM
    session_info: bytes  # HMAC-SHA256 of session infos
    command: bytes  # HMAC-SHA256 of commands


def make_private_key(seed: bytes) -> ec.EllipticCurvePrivateKey:
    """A P-256 key of `PRIVATE_SEED_BYTES` random bytes; the same bytes make the same key."""
    assert len(seed) == PRIVATE_SEED_BYTES
    return ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def encode_public(key: ec.EllipticCurvePublicKey) -> bytes:
    """The 65 bytes that messages carry."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def read_public(data: bytes) -> ec.EllipticCurvePublicKey:
    """Raises `InvalidPublicKeyError` unless these are 65 bytes of a point on the curve."""
    if len(data) != PUBLIC_KEY_BYTES:
        raise InvalidPublicKeyError(f"{len(data)} bytes, not {PUBLIC_KEY_BYTES}")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError as error:
        raise InvalidPublicKeyError("not a point of P-256") from error


def agree(private: ec.EllipticCurvePrivateKey, peer: ec.EllipticCurvePublicKey) -> SharedKeys:
    """The keys that both ends derive."""
    agreed = private.exchange(ec.ECDH(), peer)
    shared = hashlib.sha1(agreed).digest()[:SHARED_KEY_BYTES]
    return SharedKeys(
        shared,
        hmac.digest(shared, b"session info", "sha256"),
        hmac.digest(shared, b"authenticated command", "sha256"),
    )


def key_identifier(public: bytes) -> bytes:
    """How VCSEC names a key: the first four bytes of its SHA-1."""
    return hashlib.sha1(public).digest()[:4]
