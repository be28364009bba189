"""Passwords that we draw ourselves, and the only trace of them that is kept. No IO, no chance.

A password is 256 random bits, never a person's choice: nobody can try them all, so stretching
(argon2, scrypt) would buy nothing and cost each connect 50 ms or more. One HMAC-SHA256 costs 1 µs.
Its key lies beside the registry in `secrets/`, so the registry's file alone answers no guess at
all, and the user name is hashed along, so equal passwords of two accounts would not show.
"""

import base64
import hmac
from typing import Final

PASSWORD_ENTROPY_BYTES: Final = 32
ACCOUNT_KEY_BYTES: Final = 32


def make_password(entropy: bytes) -> str:
    """Draw a password from 32 bytes of entropy: 43 characters that need no quoting anywhere."""
    if len(entropy) < PASSWORD_ENTROPY_BYTES:
        raise ValueError(
            f"a password needs {PASSWORD_ENTROPY_BYTES} bytes of entropy, got {len(entropy)}"
        )
    return base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()


def hash_password(account_key: bytes, username: str, password: bytes) -> bytes:
    """What is stored of a password."""
    name = username.encode("utf-8", "surrogatepass")
    return hmac.digest(account_key, len(name).to_bytes(4) + name + password, "sha256")


def constant_time_equal(stored: bytes, given: bytes) -> bool:
    """Whether two hashes are the same, in a time that does not say where they differ."""
    return hmac.compare_digest(stored, given)
