"""The telemetry configuration that the car obeys: signed by a key on its list, kept on disk.

The cloud carries the token; the car believes its signature and its own list, and nobody's word.
"""

import zlib
from collections.abc import Callable
from typing import Final

import msgspec

from motorcade.vehicle.disk import Disk
from motorcade.vehicle.signed.keychain import Keychain
from motorcade.vehicle.signed.roles import rights_of_role
from motorcade.wire.tesla_command.asks import Right
from motorcade.wire.tesla_command.errors import InvalidTokenError
from motorcade.wire.tesla_command.jws import verify_token
from motorcade.wire.tesla_command.telemetry_config import (
    InvalidConfigError,
    TelemetrySettings,
    read_settings,
)

_FILE: Final = "telemetry_config"
_CHECKSUM_DIGITS: Final = 8
KEY_NOT_PAIRED: Final = "key_not_paired"
INVALID_TOKEN: Final = "invalid_token"


class _Stored(msgspec.Struct, frozen=True):
    version: int
    token: str


class TelemetryKeeper:
    """Keeps the token, and tells `apply` what it says."""

    def __init__(
        self,
        disk: Disk,
        keychain: Keychain,
        apply: Callable[[TelemetrySettings | None], None],
    ) -> None:
        self._disk, self._keychain, self._apply = disk, keychain, apply
        self._version = 0
        self.damage = ""
        self._load()

    def take(self, version: int, token: str) -> str:
        """Obey a configuration; an empty token withdraws. Returns why not, or "".

        An older version than the last is left alone: the newer stands. Raises `OSError`.
        """
        if version < self._version:
            return ""
        settings = None
        if token:
            settings, reason = self._read(token)
            if reason:
                return reason
        self._store(version, token)
        self._apply(settings)
        return ""

    def _read(self, token: str) -> tuple[TelemetrySettings | None, str]:
        try:
            signed = verify_token(token)
            settings = read_settings(signed.claims)
        except (InvalidTokenError, InvalidConfigError):
            return None, INVALID_TOKEN
        entry = self._keychain.find(signed.public_key)
        if entry is None or Right.READ not in rights_of_role(entry.role):
            return None, KEY_NOT_PAIRED
        return settings, ""

    def _store(self, version: int, token: str) -> None:
        text = msgspec.json.encode(_Stored(version, token))
        self._disk.replace(_FILE, b"%08x %s\n" % (zlib.crc32(text), text))
        self._version = version

    def _load(self) -> None:
        data = self._disk.read(_FILE)
        if not data:
            return
        text = data[_CHECKSUM_DIGITS + 1 :].rstrip(b"\n")
        try:
            if data[: _CHECKSUM_DIGITS + 1] != b"%08x " % zlib.crc32(text):
                raise ValueError("checksum")
            stored = msgspec.json.decode(text, type=_Stored)
        except (ValueError, RecursionError):
            self.damage = (
                f"{self._disk.where(_FILE)} is damaged: no configured telemetry is streamed until "
                "it is configured anew"
            )
            return
        self._version = stored.version
        settings, _ = self._read(stored.token) if stored.token else (None, "")
        self._apply(settings)
