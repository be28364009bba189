"""Who got a PIN wrong how often, and the car's modes and PINs: counted, and on disk at once.

Four digits are few: after `tries_max` wrong ones in a row a mode looks at no PIN for `lock_s`, the
right one included, by the car's own clock. Wrong tries and what they guard are written before
anything is answered, so that a restart gives nobody new tries. What the modes do stands in
`actions/security.py`.
"""

from dataclasses import replace
from typing import Final

import msgspec

from motorcade.vehicle import actions
from motorcade.vehicle.actions.action import PIN_LOCKED, WRONG_PIN, Parameters
from motorcade.vehicle.body import NEVER_S, PIN_MODES, PinLock, Security
from motorcade.vehicle.checked import decode_checked, read_checked, write_checked
from motorcade.vehicle.disk import Disk
from motorcade.vehicle.model import Car

_FILE: Final = "security"


class PinKeeper:
    """One car's."""

    def __init__(self, disk: Disk, car: Car, *, tries_max: int, lock_s: float) -> None:
        """The car gets what the file holds. Raises `OSError`."""
        self._disk, self._tries_max, self._lock_s = disk, tries_max, lock_s
        self._written = _encode(car.body.security)
        self.damage = ""
        self._load(car)

    def judge(
        self, car: Car, name: str, parameters: Parameters, *, asleep_too: bool = False
    ) -> str:
        """Why the car does not carry this out now; a wrong PIN counts. Raises `OSError`."""
        reason = actions.refusal(car, name, parameters, asleep_too=asleep_too)
        if reason == WRONG_PIN:
            self._count(car, actions.ACTIONS[name].pin_of)
        if reason in (WRONG_PIN, PIN_LOCKED):
            self._keep(car)  # a lock that could not be written before is not told either
        return reason

    def apply(self, car: Car, name: str, parameters: Parameters) -> None:
        """Carry it out; what it changes of `Security` is on disk then. Raises `OSError`."""
        actions.apply(car, name, parameters)
        self._keep(car)

    def _count(self, car: Car, mode: str) -> None:
        lock = car.body.security.pin_locks[mode]
        lock.wrong_tries += 1
        if lock.wrong_tries >= self._tries_max:
            lock.wrong_tries = 0
            lock.until_unix_s = car.unix_s + self._lock_s

    def _keep(self, car: Car) -> None:
        text = _encode(car.body.security)
        if text != self._written:
            self._disk.replace(_FILE, write_checked(text))
            self._written = text

    def _load(self, car: Car) -> None:
        data = self._disk.read(_FILE)
        if not data:
            return
        try:
            security: Security = decode_checked(data, Security)
        except ValueError:
            self.damage = (
                f"{self._disk.where(_FILE)} is damaged: valet mode, speed limits, parental "
                "controls and their PINs are off, as in a new car; set them again"
            )
            return
        self._written = read_checked(data) or b""
        latest_unix_s = car.unix_s + self._lock_s  # if the clock was set back meanwhile
        for mode in PIN_MODES:
            lock = security.pin_locks.setdefault(mode, PinLock())
            lock.until_unix_s = min(lock.until_unix_s, latest_unix_s)
        car.body.security = security


def _encode(security: Security) -> bytes:
    """Without what is of the moment; sets in order, so that equal is equal."""
    kept = replace(security, sentry=False, remote_start_until_s=NEVER_S)
    return msgspec.json.encode(kept, order="deterministic")
