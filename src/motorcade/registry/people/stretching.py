"""Passwords that people choose: argon2id, so that each guess costs memory and time. Draws no salt.

RFC 9106 §4. The check of an e-mail that nobody has hashes too: how long it takes tells nothing.
"""

from typing import TYPE_CHECKING, Final

from motorcade.config import RegistryConfig
from motorcade.registry.errors import InvalidNameError

if TYPE_CHECKING:  # loaded when somebody signs in, not whenever the registry is opened
    from argon2 import PasswordHasher

SALT_BYTES: Final = 16
_LANES: Final = 1


def hasher(config: RegistryConfig) -> "PasswordHasher":
    """What hashes as costly as the settings say."""
    from argon2 import PasswordHasher, Type

    return PasswordHasher(
        time_cost=config.password_passes,
        memory_cost=config.password_memory_kib,
        parallelism=_LANES,
        salt_len=SALT_BYTES,
        type=Type.ID,
    )


def stretch(password: str, salt: bytes, config: RegistryConfig) -> str:
    """What is stored of a password. Raises `InvalidNameError` for one too short or too long."""
    low, high = config.password_characters_min, config.password_characters_max
    if not low <= len(password) <= high:
        raise InvalidNameError(f"password: must have {low} to {high} characters")
    try:
        return hasher(config).hash(password, salt=salt)
    except UnicodeEncodeError as error:
        raise InvalidNameError("password: has characters that are no text") from error


def fits(stored: str, password: str, config: RegistryConfig) -> bool:
    """Whether this is the password. `stored` names its own costs."""
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > config.password_characters_max:
        return False
    try:
        return hasher(config).verify(stored, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
