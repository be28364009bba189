"""One house as a machine that an agent runs: its row of the model, its settings, its memory.

What it remembers is written before a changed setting counts, and every `SAVE_S` besides. A house
lives on while its program is off: at the start it is stepped from what was saved up to now, through
the same ticks it would have lived through, so meters go on where they were, whatever was killed.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np

from motorcade import zones
from motorcade.vehicle.disk import Disk
from motorcade.vehicle.site import settings as setting_table
from motorcade.vehicle.site.model import KEPT, Ints, Site, Sites
from motorcade.vehicle.site.settings import EXPORTS, MODES, Settings
from motorcade.wire.tariff import Price, Tariff, TariffError

TICK_S: Final = 1
COARSE_S: Final = 300  # a tick while catching up on more than ...
COARSE_AFTER_S: Final = 600  # ... this
CATCH_UP_S_MAX: Final = 7 * 86_400  # a house that was off for longer skips what came before
SAVE_S: Final = 30  # how often memory is written
LOOK_S: Final = 60  # how often the hour and its price are looked up
FILE: Final = "site"
_CHECK_DIGITS: Final = 8
_US: Final = 1_000_000


class Now(Protocol):
    """The part of a clock that a house needs."""

    def now_us(self) -> int:
        """Wall time, µs."""


class _Memory(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    row: dict[str, int | list[int]]
    settings: Settings


class Homes:
    """The houses of a process, in one set of columns."""

    def __init__(self, sites: Sequence[tuple[Site, str, Disk]], clock: Now) -> None:
        """Each with its time zone and its disk. Raises `OSError`, `UnknownZoneError`."""
        self._clock = clock
        now_s = clock.now_us() // _US
        self.columns = Sites([site for site, _, _ in sites], now_s)
        self.homes = [Home(self, index, zone, disk) for index, (_, zone, disk) in enumerate(sites)]
        self._skip_to(now_s)
        for home in self.homes:
            home.look()
        self.columns.settle()
        for home in self.homes:
            home.save()  # A new one: what it lives until the next time must be lived again.

    def advance(self) -> None:
        """Let every house live until now, in whole ticks. Raises `OSError`."""
        now_s = self._clock.now_us() // _US
        times = self.columns.rows["time_s"]
        if (times > now_s).any():  # the clock was set back: time goes on from there, unlived
            self._skip_to(now_s)
        while (behind := now_s - times).max(initial=0) >= TICK_S:
            for home in self.homes:
                home.look_if_due()
            self.columns.step(_ticks(behind))
        for home in self.homes:
            home.save_if_due()

    def _skip_to(self, now_s: int) -> None:
        times = self.columns.rows["time_s"]
        np.clip(times, now_s - CATCH_UP_S_MAX, now_s, out=times)


def _ticks(behind: Ints) -> Ints:
    small = np.where(behind >= TICK_S, TICK_S, 0)
    return np.where(behind > COARSE_AFTER_S, COARSE_S, small).astype(np.int64)


class Home:
    """One of them. The agent's machine."""

    def __init__(self, homes: Homes, index: int, zone: str, disk: Disk) -> None:
        self._homes, self._index, self._disk = homes, index, disk
        self.zone = zone
        self.settings = Settings()
        self.damage = ""  # what was wrong with the memory at the start
        self._tariff: Tariff | None = None
        self._looked_s = 0
        self._recall()
        self._saved_s = int(self.row["time_s"])

    @property
    def row(self) -> Any:
        """The house's row in the columns, `model.ROW`; a view."""
        return self._homes.columns.rows[self._index]

    @property
    def capacity_j(self) -> int:
        return int(self._homes.columns.capacity_mj[self._index]) // 1_000

    @property
    def battery_w_max(self) -> int:
        return int(self._homes.columns.power_w_max[self._index])

    def advance(self, elapsed_s: float) -> None:
        """Let the house live until now: by the wall clock, as sun and prices do."""
        self._homes.advance()

    def refusal(self, name: str, parameters: setting_table.Parameters) -> str:
        """Why it does not carry this out now; empty if it does."""
        return setting_table.refusal(name, parameters)

    def apply(self, name: str, parameters: setting_table.Parameters) -> None:
        """Change a setting, durably. `refusal` was empty. Raises `OSError`."""
        before = self.settings
        self.settings = setting_table.changed(before, name, parameters)
        try:
            self.save()
        except OSError:
            self.settings = before
            raise
        self._obey()
        self.look()
        self._homes.columns.settle()

    def look_if_due(self) -> None:
        """Look at the local clock and the price, once a minute of the house's time."""
        if int(self.row["time_s"]) - self._looked_s >= LOOK_S:
            self.look()

    def look(self) -> None:
        """What local time is it, and what does energy cost."""
        time_s = int(self.row["time_s"])
        self._looked_s = time_s - time_s % LOOK_S
        self.row["offset_s"] = zones.offset_s(time_s * _US, self.zone)
        price = Price.BETWEEN
        if self._tariff is not None:
            now = zones.local(time_s * _US, self.zone)
            minute = now.hour * 60 + now.minute
            price = self._tariff.price(now.month, now.day, now.weekday(), minute)
        self.row["price"] = price

    def save_if_due(self) -> None:
        """Write memory every `SAVE_S`. Raises `OSError`."""
        if int(self.row["time_s"]) - self._saved_s >= SAVE_S:
            self.save()

    def save(self) -> None:
        """Write memory. Raises `OSError`."""
        row = self.row
        kept = {name: row[name].tolist() for name in KEPT}
        body = msgspec.json.encode(_Memory(row=kept, settings=self.settings))
        check = f"{zlib.crc32(body):0{_CHECK_DIGITS}x}".encode()
        self._disk.replace(FILE, check + body)
        self._saved_s = int(row["time_s"])

    def _recall(self) -> None:
        content = self._disk.read(FILE)
        if content:
            check, body = content[:_CHECK_DIGITS], content[_CHECK_DIGITS:]
            try:
                if int(check, 16) != zlib.crc32(body):
                    raise ValueError("its checksum is wrong")
                memory = msgspec.json.decode(body, type=_Memory)
                for name in KEPT:
                    self.row[name] = memory.row[name]
                self.settings = memory.settings
            except (ValueError, LookupError, OverflowError) as error:
                self.damage = (
                    f"{self._disk.where(FILE)} is damaged ({error}): the site begins with the "
                    "settings of a new one; set them again"
                )
        self._obey()

    def _obey(self) -> None:
        """Settings into the columns."""
        row, settings = self.row, self.settings
        row["mode"] = MODES[settings.default_real_mode]
        row["reserve"] = settings.backup_reserve_percent
        row["car_reserve"] = settings.off_grid_vehicle_charging_reserve_percent
        row["storm_mode"] = settings.storm_mode_enabled
        row["grid_charging"] = not settings.disallow_charge_from_grid_with_solar_installed
        row["export"] = EXPORTS[settings.customer_preferred_export_rule]
        try:
            self._tariff = settings.tariff()
        except TariffError as error:  # a memory of a version that read tariffs otherwise
            self._tariff = None
            self.damage = f"{self._disk.where(FILE)}: the tariff is not read: {error}"
