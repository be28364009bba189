"""The program's commands about keys: signed messages to the receiver, approvals into the list."""

import base64
import binascii
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from motorcade.vehicle.program import Ended, Moment
from motorcade.vehicle.signed import key_list
from motorcade.vehicle.signed.receiver import MALFORMED, Receiver
from motorcade.vehicle.signed.telemetry import TelemetryKeeper
from motorcade.wire.command.messages import (
    APPROVE_KEY,
    REMOVE_KEY,
    SIGNED_COMMAND,
    TELEMETRY_CONFIG,
    Keys,
    SigningKey,
)

SIGNING_REQUIRED: Final = "signed_command_required"
UNSIGNED_STILL: Final = frozenset(
    {
        *("wake_up", "navigation_request", "set_managed_charge_current_request"),
        *("set_managed_charger_location", "set_managed_scheduled_charging_time"),
    }
)
"""What Tesla's SDK sends unsigned to every car: the protocol has no action for it."""

_REASONS: Final = {
    key_list.INVALID_KEY: "invalid_public_key",
    key_list.LIST_FULL: "key_list_full",
    key_list.NO_ROLE: "unknown_role",
}


class Signing(StrEnum):
    """How a car stands to signed commands."""

    NONE = "none"  # an older car: plain commands alone
    SUPPORTED = "supported"  # both
    REQUIRED = "required"  # what can be signed must be


class SignedProgram:
    """Implements `vehicle.program.Program`."""

    def __init__(self, signing: Signing, receiver: Receiver, telemetry: TelemetryKeeper) -> None:
        self._signing = signing
        self._receiver = receiver
        self._telemetry = telemetry

    def knows(self, name: str) -> bool:
        return self._signing is not Signing.NONE and name in _NAMES

    def refuses(self, name: str) -> str:
        wanted = self._signing is Signing.REQUIRED and name not in UNSIGNED_STILL
        return SIGNING_REQUIRED if wanted else ""

    def run(self, name: str, parameters: Mapping[str, Any], now: Moment) -> Ended:
        if name == TELEMETRY_CONFIG:
            return _configure(self._telemetry, parameters)
        ended = _COMMANDS[name](self._receiver, parameters, now)
        if ended.reports:
            self._telemetry.recheck()
        return ended

    def report(self) -> Keys:
        keys = [
            SigningKey(
                slot=entry.slot,
                public_key=entry.public_key,
                role=entry.role,
                form_factor=entry.form_factor,
            )
            for entry in self._receiver.keychain
        ]
        if self._signing is Signing.NONE:
            keys = []
        return Keys(signed_commands=self._signing.value, keys=keys)


def _receive(receiver: Receiver, parameters: Mapping[str, Any], now: Moment) -> Ended:
    try:
        data = base64.b64decode(parameters["routable_message"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        return Ended(MALFORMED)
    received = receiver.receive(data, now)
    response = base64.b64encode(received.response).decode()
    return Ended(received.reason, response, received.acted, received.keys_changed)


def _approve(receiver: Receiver, parameters: Mapping[str, Any], _now: Moment) -> Ended:
    if receiver.keychain.damage:
        return Ended("keychain_damaged")
    try:
        public_key = bytes.fromhex(parameters["public_key"])
        role, form_factor = str(parameters["role"]), int(parameters.get("form_factor", 0))
    except (KeyError, TypeError, ValueError):
        return Ended(MALFORMED)
    code = key_list.approve(receiver.keychain, public_key, role, form_factor)
    return Ended(_REASONS.get(code, ""), acted=False, reports=True)


def _remove(receiver: Receiver, parameters: Mapping[str, Any], _now: Moment) -> Ended:
    if receiver.keychain.damage:
        return Ended("keychain_damaged")
    try:
        public_key = bytes.fromhex(parameters["public_key"])
    except (KeyError, TypeError, ValueError):
        return Ended(MALFORMED)
    receiver.keychain.remove(public_key)
    return Ended(acted=False, reports=True)


def _configure(telemetry: TelemetryKeeper, parameters: Mapping[str, Any]) -> Ended:
    try:
        version, token = int(parameters["version"]), str(parameters["token"])
    except (KeyError, TypeError, ValueError):
        return Ended(MALFORMED)
    return Ended(telemetry.take(version, token), acted=False)


_COMMANDS: Final = {SIGNED_COMMAND: _receive, APPROVE_KEY: _approve, REMOVE_KEY: _remove}
_NAMES: Final = frozenset({*_COMMANDS, TELEMETRY_CONFIG})
