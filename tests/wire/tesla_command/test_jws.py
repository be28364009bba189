"""Signed telemetry configurations: one of the client library's own, and each way to be wrong."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from motorcade.wire.tesla_command.errors import InvalidTokenError
from motorcade.wire.tesla_command.jws import TOKEN_BYTES_MAX, verify_token
from motorcade.wire.tesla_command.keys import encode_public
from motorcade.wire.tesla_command.schnorr import challenge
from tests.wire.tesla_command.signer import key

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PUBLIC = encode_public(key(3).public_key())
CLAIMS: dict[str, Any] = {
    "iss": base64.b64encode(PUBLIC).decode(),
    "aud": "com.tesla.fleet.TelemetryClient",
    "hostname": "telemetry.example.com",
    "port": 443,
    "fields": {"Soc": {"interval_seconds": 10}},
}


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims: Any = CLAIMS, alg: str = "Tesla.SS256", number: int = 3) -> str:
    header = encode(json.dumps({"alg": alg, "typ": "JWT"}).encode())
    return sign(f"{header}.{encode(json.dumps(claims).encode())}", number)


def sign_parts(claims: bytes, number: int = 3) -> str:
    """A token around any bytes."""
    header = encode(b'{"alg":"Tesla.SS256"}')
    return sign(f"{header}.{encode(claims)}", number)


def sign(signed: str, number: int) -> str:
    """Signed as RFC 8235 says: r = v - a·c."""
    private, nonce = key(number), ec.derive_private_key(4711, ec.SECP256R1())
    point = encode_public(nonce.public_key())[1:]
    c = challenge(point, encode_public(private.public_key()), signed.encode())
    secret = private.private_numbers().private_value
    r = (4711 - secret * int.from_bytes(c, "big")) % ORDER
    return f"{signed}.{encode(point + r.to_bytes(32, 'big'))}"


def test_a_good_token_says_who_signed_what() -> None:
    said = verify_token(token())
    assert said.public_key == PUBLIC
    assert said.claims == {name: CLAIMS[name] for name in ("hostname", "port", "fields")}


def test_any_changed_character_is_found() -> None:
    good = token()
    for at in range(0, len(good), 7):
        other = "A" if good[at] != "A" else "B"
        with pytest.raises(InvalidTokenError):
            verify_token(good[:at] + other + good[at + 1 :])


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("", "compact JWS"),
        ("a.b", "compact JWS"),
        ("é.a.b", "compact JWS"),
        ("a" * (TOKEN_BYTES_MAX + 1), "limit"),
        ("%.b.c", "base64url"),
        (token(alg="none"), "algorithm 'none'"),
        (token(alg="ES256"), "algorithm 'ES256'"),
        (token({**CLAIMS, "aud": "other"}), "audience 'other'"),
        (token({**CLAIMS, "iss": "!"}), "iss"),
        (token({**CLAIMS, "iss": ""}), "iss"),
        (token({"iss": 1}), "claims"),
        (token([]), "claims"),
        (token(number=4), "signature"),
        (token() + "=", "padded"),
        (token().rpartition(".")[0] + ".", "signature"),
    ],
)
def test_every_way_to_be_wrong_is_told(broken: str, text: str) -> None:
    with pytest.raises(InvalidTokenError, match=text):
        verify_token(broken)
