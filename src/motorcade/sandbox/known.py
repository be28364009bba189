"""What everybody may know: the sandbox's credentials. Good on the sandbox alone, and on loopback.

The default world has the plain names; world `w7` has the same with its id in them.
"""

import hashlib
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from motorcade.identity.port import OWNER_SUBJECT
from motorcade.identity.scopes import APP_SCOPES, PARTNER_ONLY
from motorcade.vehicle.model import equipment_of
from motorcade.wire.tesla_command.keys import encode_public

DEFAULT_WORLD: Final = "default"
PASSWORD: Final = "sandbox-password"
CLIENT_SECRET: Final = "sandbox-secret"
REDIRECT_URIS: Final = ("http://localhost:8000/callback", "http://127.0.0.1:8000/callback")
SCOPES: Final = tuple(scope for scope in APP_SCOPES if scope != PARTNER_ONLY)
"""What the app holds of the user: all that a person can grant."""

_MODEL_LETTERS: Final = {
    "Model3": "3",
    "ModelY": "Y",
    "ModelS": "S",
    "ModelX": "X",
    "Cybertruck": "C",
}


def subject(world: str) -> str:
    """Who owns a world's cars."""
    return OWNER_SUBJECT if world == DEFAULT_WORLD else f"owner-{world}"


def email(world: str) -> str:
    """What its owner signs in with."""
    return f"{subject(world)}@sandbox.test"


def client_id(world: str) -> str:
    """Its app."""
    return "sandbox-app" if world == DEFAULT_WORLD else f"sandbox-app-{world}"


def domain(world: str) -> str:
    """The app's domain: nobody's (RFC 6761 §6.2)."""
    return "app.sandbox.test" if world == DEFAULT_WORLD else f"app-{world}.sandbox.test"


def vin(seed: int, number: int) -> str:
    """Of the sandbox's so manieth car; its fourth character is the model that the seed draws."""
    letter = _MODEL_LETTERS[equipment_of(seed).car_type]
    return f"5YJ{letter}E1EA0SB{number:06d}"


def private_key() -> ec.EllipticCurvePrivateKey:
    """The app's key for signed commands, the same in every sandbox."""
    secret = hashlib.sha256(b"motorcade sandbox: everybody knows this key").digest()
    return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())


@cache
def private_key_pem() -> str:
    """The same, as clients read it."""
    form = private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return form.decode()


@cache
def public_key_pem() -> str:
    """Its public half."""
    public = private_key().public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@cache
def public_key_hex() -> str:
    """The same, as key lists have it."""
    return encode_public(private_key().public_key()).hex()


def point_of(pem: str) -> str:
    """A public key in PEM form, as key lists have it. Raises `ValueError`: no P-256 key."""
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("not a P-256 key")
    return encode_public(key).hex()
