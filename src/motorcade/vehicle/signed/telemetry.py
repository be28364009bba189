"""The telemetry configuration that the car obeys: signed by a key on its list, kept on disk.

The cloud carries the token; the car believes its signature and its own list, and nobody's word. A
key that may no longer read takes its configuration's stream with it, and brings it back when it may
again; the token itself stays until it is withdrawn.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from motorcade.vehicle.checked import decode_checked, write_checked
from motorcade.vehicle.disk import Disk
from motorcade.vehicle.signed.keychain import Keychain
from motorcade.vehicle.signed.roles import rights_of_role
from motorcade.wire.tesla_command.errors import InvalidTokenError
from motorcade.wire.tesla_command.jws import verify_token
from motorcade.wire.tesla_command.rights import Right
from motorcade.wire.tesla_command.telemetry_config import (
    InvalidConfigError,
    TelemetrySettings,
    read_settings,
)

_FILE: Final = "telemetry_config"
KEY_NOT_PAIRED: Final = "key_not_paired"
INVALID_TOKEN: Final = "invalid_token"


class _Stored(msgspec.Struct, frozen=True):
    version: int
    token: str


class _Obeyed(NamedTuple):
    """A token that was read: who signed it, what it says."""

    public_key: bytes
    settings: TelemetrySettings


class TelemetryKeeper:
    """Keeps the token, and tells `apply` what it says, or `None` when nobody may have it said."""

    def __init__(
        self,
        disk: Disk,
        keychain: Keychain,
        apply: Callable[[TelemetrySettings | None], None],
    ) -> None:
        self._disk, self._keychain, self._apply = disk, keychain, apply
        self._version = 0
        self._obeyed: _Obeyed | None = None
        self._applied = False  # whether `apply` was told of settings last
        self.damage = ""
        self._load()

    def take(self, version: int, token: str) -> str:
        """Obey a configuration; an empty token withdraws. Returns why not, or "".

        An older version than the last is left alone: the newer stands. Raises `OSError`.
        """
        if version < self._version:
            return ""
        obeyed = None
        if token:
            obeyed = _read(token)
            if obeyed is None:
                return INVALID_TOKEN
            if not self._may(obeyed):
                return KEY_NOT_PAIRED
        self._store(version, token)
        self._obeyed = obeyed
        self._tell()
        return ""

    def recheck(self) -> None:
        """The key list changed: stop what is signed by a key that may no longer, or go on."""
        if self._obeyed is not None and self._may(self._obeyed) != self._applied:
            self._tell()

    def forget(self) -> None:
        """As a car that was never configured. Raises `OSError`."""
        self._store(0, "")
        self._obeyed = None
        self._tell()

    def _may(self, obeyed: _Obeyed) -> bool:
        entry = self._keychain.find(obeyed.public_key)
        return entry is not None and Right.READ in rights_of_role(entry.role)

    def _tell(self) -> None:
        obeyed = self._obeyed
        self._applied = obeyed is not None and self._may(obeyed)
        self._apply(obeyed.settings if obeyed is not None and self._applied else None)

    def _store(self, version: int, token: str) -> None:
        text = msgspec.json.encode(_Stored(version, token))
        self._disk.replace(_FILE, write_checked(text))
        self._version = version

    def _load(self) -> None:
        data = self._disk.read(_FILE)
        if not data:
            return
        try:
            stored: _Stored = decode_checked(data, _Stored)
        except ValueError:
            self.damage = (
                f"{self._disk.where(_FILE)} is damaged: no configured telemetry is streamed until "
                "it is configured anew"
            )
            return
        self._version = stored.version
        self._obeyed = _read(stored.token) if stored.token else None
        self._tell()


def _read(token: str) -> _Obeyed | None:
    """`None` for a token that is forged, or that no car could obey."""
    try:
        signed = verify_token(token)
        return _Obeyed(signed.public_key, read_settings(signed.claims))
    except (InvalidTokenError, InvalidConfigError):
        return None
