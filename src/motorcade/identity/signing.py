"""The Ed25519 key that signs what goes down to vehicles."""

import base64
import hashlib
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from motorcade.identity.authority import Authority
from motorcade.identity.errors import SecretsError

_KEY_FILE: Final = "command_signing.pem"


class Ed25519Signer:
    """A `CommandSigner`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        """The first 64 bits of the public key's SHA-256, in hex."""
        return hashlib.sha256(self._public).hexdigest()[:16]

    @property
    def public_keys(self) -> dict[str, str]:
        """What `vehicle.json` carries: key id to public key, base64url without padding."""
        return {self.key_id: base64.urlsafe_b64encode(self._public).rstrip(b"=").decode()}

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`, 64 bytes."""
        return self._key.sign(message)


def command_signer(authority: Authority) -> Ed25519Signer:
    """The deployment's signer, its key made at the first call. Raises `SecretsError`."""
    pem = authority.secrets.read_or_make(_KEY_FILE, _make_key)
    try:
        key = serialization.load_pem_private_key(pem, None)
    except ValueError as error:
        raise _damaged(authority, str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _damaged(authority, "not an Ed25519 key")
    return Ed25519Signer(key)


def _make_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _damaged(authority: Authority, reason: str) -> SecretsError:
    return SecretsError(
        f"{authority.secrets.path(_KEY_FILE)} is damaged ({reason}): restore it from a backup; "
        "vehicles obey no other key"
    )
