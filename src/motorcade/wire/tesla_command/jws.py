"""A signed configuration: compact JWS, alg "Tesla.SS256", signed by a key that the car knows.

Header, claims and signature are checked here and the claims given back; whether the signer may
configure a car is for the car's key list. No IO, no clock: expiry is for whoever has the time.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from motorcade.wire.tesla_command import schnorr
from motorcade.wire.tesla_command.errors import InvalidPublicKeyError, InvalidTokenError

ALGORITHM: Final = "Tesla.SS256"
TELEMETRY_AUDIENCE: Final = "com.tesla.fleet.TelemetryClient"
TOKEN_BYTES_MAX: Final = 40 << 10  # travels down to the car in one message of ours


class _Header(msgspec.Struct):
    alg: str


class _Issued(msgspec.Struct):
    iss: str
    aud: str


@dataclass(frozen=True, slots=True)
class SignedClaims:
    """What an authentic token says, and who said it."""

    public_key: bytes  # the signer's, 65 bytes
    claims: dict[str, Any]  # without `iss` and `aud`


def verify_token(token: str, audience: str = TELEMETRY_AUDIENCE) -> SignedClaims:
    """Read a token; what is returned was signed by `public_key`.

    Raises:
        InvalidTokenError: too long, not three parts, another algorithm or audience, an issuer that
            is no key, or a signature that does not fit.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise InvalidTokenError(f"token of {len(token)} bytes, limit {TOKEN_BYTES_MAX}")
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise InvalidTokenError("not a compact JWS: three base64url parts joined by dots")
    header, payload, signature = (_decode(part) for part in parts)
    algorithm = _read(header, _Header, "header").alg
    if algorithm != ALGORITHM:
        raise InvalidTokenError(f"algorithm {algorithm[:32]!r}, must be {ALGORITHM!r}")
    issued = _read(payload, _Issued, "claims")
    if issued.aud != audience:
        raise InvalidTokenError(f"audience {issued.aud[:64]!r}, must be {audience!r}")
    public = _issuer(issued.iss)
    try:
        good = schnorr.verify(public, f"{parts[0]}.{parts[1]}".encode(), signature)
    except InvalidPublicKeyError as error:
        raise InvalidTokenError(f"iss: {error}") from error
    if not good:
        raise InvalidTokenError("the signature does not fit the token and its issuer")
    claims = _read(payload, dict[str, Any], "claims")
    return SignedClaims(public, {k: v for k, v in claims.items() if k not in ("iss", "aud")})


def _issuer(text: str) -> bytes:
    """Standard base64 of the key, as Tesla's SDK writes it."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidTokenError("iss: not the base64 of a public key") from error


def _decode(part: str) -> bytes:
    if "=" in part:
        raise InvalidTokenError("a part is padded: base64url without padding")
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidTokenError("a part is not base64url") from error


def _read(data: bytes, kind: Any, what: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InvalidTokenError(f"{what}: {error}") from error
