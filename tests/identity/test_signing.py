"""The command key: vehicles verify with what `vehicle.json` carries, and it outlives a restart."""

import base64
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from motorcade.identity.authority import open_authority
from motorcade.identity.errors import SecretsError
from motorcade.identity.signing import command_signer


def test_a_vehicle_verifies_with_the_published_key(tmp_path: Path) -> None:
    signer = command_signer(open_authority(tmp_path / "data"))
    ((key_id, text),) = signer.public_keys.items()
    assert key_id == signer.key_id
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text + "="))
    public.verify(signer.sign(b"unlock"), b"unlock")
    with pytest.raises(InvalidSignature):
        public.verify(signer.sign(b"unlock"), b"lock")


def test_the_key_is_kept(tmp_path: Path) -> None:
    first = command_signer(open_authority(tmp_path / "data"))
    again = command_signer(open_authority(tmp_path / "data"))
    other = command_signer(open_authority(tmp_path / "other"))
    assert first.public_keys == again.public_keys
    assert first.key_id != other.key_id


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA"])
def test_a_damaged_key_is_named_not_replaced(tmp_path: Path, content: bytes) -> None:
    authority = open_authority(tmp_path / "data")
    command_signer(authority)
    authority.secrets.path("command_signing.pem").write_bytes(content)
    with pytest.raises(SecretsError, match=r"command_signing\.pem.*damaged"):
        command_signer(authority)
