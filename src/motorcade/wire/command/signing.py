"""Sign and verify what goes down to cars: Ed25519 over RFC 8785 canonical JSON. No IO.

The signature covers the canonical form (RFC 8785) of the whole object without its `signature`
member, `key_id` and `type` included. A receiver may so re-encode a message without breaking it,
and what is verified is what is read: both come from the one decoded object, so two members of the
same name cannot mean one thing to the check and another to the car.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from motorcade.wire.command.errors import (
    MalformedMessageError,
    MessageTooLargeError,
    SignatureError,
    WrongVehicleError,
)
from motorcade.wire.command.messages import DownMessage

DOWN_BYTES_MAX: Final = 64 << 10  # parameters of every command known fit many times
SIGNATURE_BYTES: Final = 64  # Ed25519, RFC 8032 §5.1.6

WHOLE_MAX: Final = 2**53 - 1  # RFC 8785 §3.2.2.3: beyond, a number has no canonical form

_encoder: Final = msgspec.json.Encoder()
_sorting: Final = msgspec.json.Encoder(order="sorted")
_decoder: Final = msgspec.json.Decoder()


class Signer(Protocol):
    """Whoever holds the private key: `identity`'s signer, or cryptography's `Ed25519PrivateKey`."""

    def sign(self, message: bytes, /) -> bytes:
        """The 64-byte Ed25519 signature of `message`."""


def sign(message: DownMessage, key: Signer) -> bytes:
    """Return `message` as JSON with its signature, ready for the command topic.

    What travels need not be canonical: whoever verifies makes that form from what was read.

    Raises:
        MalformedMessageError: a parameter has no canonical form (NaN, an integer beyond 2^53).
        MessageTooLargeError: the result is longer than `DOWN_BYTES_MAX`.
    """
    members: dict[str, Any] = msgspec.to_builtins(message)
    signature = key.sign(canonical(members))
    members["signature"] = base64.urlsafe_b64encode(signature).rstrip(b"=").decode("ascii")
    payload = _encoder.encode(members)
    _check_length(payload)
    return payload


def verify(payload: bytes, keys: Mapping[str, Ed25519PublicKey], vehicle: str) -> DownMessage:
    """Read a message for `vehicle`; what is returned is authentic.

    Raises:
        MessageTooLargeError: more than `DOWN_BYTES_MAX`.
        MalformedMessageError: not one of our messages.
        SignatureError: `key_id` is not in `keys`, or the signature does not fit.
        WrongVehicleError: authentic, but for another vehicle.
    """
    _check_length(payload)
    members = _read_object(payload)
    signature = _read_signature(members.pop("signature", None))
    key_id = members.get("key_id")
    key = keys.get(key_id) if isinstance(key_id, str) else None
    if key is None:
        raise SignatureError("signed with a key that this vehicle does not know")
    try:
        key.verify(signature, canonical(members))
    except InvalidSignature as error:
        raise SignatureError("the signature does not fit the message") from error
    message = _read_message(members)
    if message.vehicle != vehicle:
        raise WrongVehicleError(f"signed for vehicle {message.vehicle}, this is {vehicle}")
    return message


def canonical(members: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a JSON object. Raises `MalformedMessageError` if it has none."""
    try:
        if _is_plain(members):
            return _sorting.encode(members)
        return rfc8785.dumps(dict(members))
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError) as error:
        raise MalformedMessageError(f"no canonical JSON form: {error}") from error


def _is_plain(value: object) -> bool:
    """Whether sorting alone makes the canonical form, at a twentieth of the cost.

    Fractions have a form of their own there, and keys beyond ASCII an order of their own.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if isinstance(value, int):
        return kind is int and -WHOLE_MAX <= value <= WHOLE_MAX
    if isinstance(value, dict):
        return all(
            type(key) is str and key.isascii() and _is_plain(member)
            for key, member in value.items()
        )
    return isinstance(value, list) and all(map(_is_plain, value))


def _check_length(payload: bytes) -> None:
    if len(payload) > DOWN_BYTES_MAX:
        raise MessageTooLargeError(f"message of {len(payload)} bytes, limit {DOWN_BYTES_MAX}")


def _read_object(payload: bytes) -> dict[str, Any]:
    try:
        members = _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise MalformedMessageError(f"not JSON: {error}") from error
    if not isinstance(members, dict):
        raise MalformedMessageError("not a JSON object")
    return members


def _read_signature(text: object) -> bytes:
    if not isinstance(text, str) or len(text) > 2 * SIGNATURE_BYTES:
        raise SignatureError("no signature")
    try:
        signature = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureError("the signature is not base64url") from error
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError(f"the signature has {len(signature)} bytes, not {SIGNATURE_BYTES}")
    return signature


def _read_message(members: dict[str, Any]) -> DownMessage:
    try:
        message: DownMessage = msgspec.convert(members, DownMessage)
    except (msgspec.ValidationError, RecursionError) as error:
        raise MalformedMessageError(f"not a message to a car: {error}") from error
    return message
