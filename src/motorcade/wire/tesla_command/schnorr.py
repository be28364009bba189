"""Schnorr signatures over P-256 with SHA-256, verified. No IO.

A signature is V, the public nonce (64 bytes, x and y), then r (32). It is good for the public key
A if V = rG + cA, c being the hash of G, V, A and the message, each behind its length (RFC 8235,
§3.3; the hash's form is that of Tesla's SDK). Everything here is public, so the arithmetic need not
take constant time.
"""

import hashlib
from typing import Final

from motorcade.wire.tesla_command.keys import PUBLIC_KEY_BYTES, read_public

SIGNATURE_BYTES: Final = 96
_P: Final = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_GX: Final = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_GY: Final = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
_G: Final = b"\x04" + _GX.to_bytes(32, "big") + _GY.to_bytes(32, "big")

_Point = tuple[int, int, int]
"""Jacobian: x/z², y/z³; z = 0 is the point at infinity."""
_INFINITY: Final[_Point] = (1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of `public` signed `message`.

    Raises:
        InvalidPublicKeyError: `public` is no uncompressed point of P-256.
    """
    numbers = read_public(public).public_numbers()
    if len(signature) != SIGNATURE_BYTES:
        return False
    r = int.from_bytes(signature[64:], "big")
    c = int.from_bytes(challenge(signature[:64], public, message), "big")
    x, y, z = _two_products(r, (_GX, _GY, 1), c, (numbers.x, numbers.y, 1))
    if z == 0:
        return False
    inverse = pow(z, -1, _P)
    found = (x * inverse**2 % _P).to_bytes(32, "big") + (y * inverse**3 % _P).to_bytes(32, "big")
    return found == signature[:64]


def challenge(nonce: bytes, public: bytes, message: bytes) -> bytes:
    """c: what the signer could not choose. `nonce` is V without its leading 04."""
    assert len(public) == PUBLIC_KEY_BYTES
    digest = hashlib.sha256()
    for part in (_G, b"\x04" + nonce, public, message):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


def _two_products(a: int, p: _Point, b: int, q: _Point) -> _Point:
    """a·p + b·q, both in one pass over the bits."""
    both = _add(p, q)
    total = _INFINITY
    for bit in reversed(range(256)):
        total = _double(total)
        match a >> bit & 1, b >> bit & 1:
            case 1, 0:
                total = _add(total, p)
            case 0, 1:
                total = _add(total, q)
            case 1, 1:
                total = _add(total, both)
    return total


def _double(point: _Point) -> _Point:
    """dbl-2001-b of the Explicit-Formulas Database, for a = -3."""
    x, y, z = point
    if z == 0 or y == 0:
        return _INFINITY
    delta, gamma = z * z % _P, y * y % _P
    beta = x * gamma % _P
    alpha = 3 * (x - delta) * (x + delta) % _P
    x3 = (alpha * alpha - 8 * beta) % _P
    z3 = ((y + z) ** 2 - gamma - delta) % _P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % _P, z3


def _add(p: _Point, q: _Point) -> _Point:
    """The textbook sum of two Jacobian points, all cases."""
    if p[2] == 0:
        return q
    if q[2] == 0:
        return p
    z1, z2 = p[2] * p[2] % _P, q[2] * q[2] % _P
    u1, u2 = p[0] * z2 % _P, q[0] * z1 % _P
    s1, s2 = p[1] * z2 * q[2] % _P, q[1] * z1 * p[2] % _P
    h, r = (u2 - u1) % _P, (s2 - s1) % _P
    if h == 0:
        return _double(p) if r == 0 else _INFINITY
    hh = h * h % _P
    hhh, v = h * hh % _P, u1 * hh % _P
    x3 = (r * r - hhh - 2 * v) % _P
    return x3, (r * (v - x3) - s1 * hhh) % _P, p[2] * q[2] * h % _P
