"""Records to what the ledger keeps: points, spans, tariffs of sites, alerts of cars. No IO.

A sample carries what has changed, so the last value of each meter stands for those it lacks. A
sample older than the last one of its site is left out: a site's buffer sends in order, so it is a
resend, or a clock that was set back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from motorcade.events import Record, Topic
from motorcade.meters.diagnostics import alerts_of, errors_of
from motorcade.meters.port import METERS, SLOT_US, Alert, Point, Span, StreamError
from motorcade.signals.decode import decode_record

INTEGER_MAX: Final = 1 << 62  # SQLite's integers are of 64 bits
TARIFF_BYTES_MAX: Final = 64 << 10
OUTAGE: Final = ("outage_start", "outage_duration", "")
CHARGE: Final = ("wall_charge_start", "wall_charge_duration", "wall_charge_energy")


@dataclass(slots=True)
class News:
    """What some records have brought, by site."""

    points: dict[tuple[str, int], Point] = field(default_factory=dict)  # by site and slot
    outages: dict[tuple[str, int], Span] = field(default_factory=dict)  # by site and start
    charges: dict[tuple[str, int], Span] = field(default_factory=dict)
    tariffs: dict[str, tuple[int, str]] = field(default_factory=dict)  # with its time, µs
    alerts: dict[tuple[str, int, str], Alert] = field(default_factory=dict)  # start and name
    errors: dict[tuple[str, int, str], StreamError] = field(default_factory=dict)  # time and name

    def __bool__(self) -> bool:
        sites = self.points or self.outages or self.charges or self.tariffs
        return bool(sites or self.alerts or self.errors)


@dataclass(slots=True)
class _Site:
    time_us: int = 0
    begun: bool = False  # has a point
    values: dict[str, int] = field(default_factory=dict)


class Readings:
    """Remembers each site's last values."""

    def __init__(self) -> None:
        self._sites: dict[str, _Site] = {}

    def resume(
        self, site: str, point: Point, outage: Span | None = None, charge: Span | None = None
    ) -> None:
        """Begin with what the ledger knows of a site: its last point and spans."""
        values = dict(zip(METERS, point.joules, strict=True))
        for names, span in ((OUTAGE, outage), (CHARGE, charge)):
            if span is not None:
                told = (span.start_s, span.duration_s, span.energy_j)
                values |= dict(zip(names, told, strict=True))
        self._sites[site] = _Site(point.time_us, True, values)

    def read(self, records: Iterable[Record], news: News) -> None:
        """Add what these records of `energy` and `diagnostics` say to `news`."""
        for record in records:
            if record.topic is Topic.DIAGNOSTICS:
                _take_told(record, news)
                continue
            for reading in decode_record(record) or ():
                self._take(record.vehicle, int(reading["time_us"]), reading["signals"], news)

    def _take(self, token: str, time_us: int, signals: dict[str, Any], news: News) -> None:
        site = self._sites.setdefault(token, _Site())
        if not token or time_us < site.time_us:
            return
        site.time_us = time_us
        for name in (*METERS, *filter(None, OUTAGE + CHARGE)):
            value = signals.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if 0 <= value < INTEGER_MAX:
                site.values[name] = int(value)
        values = site.values
        if all(name in values for name in METERS):
            point = Point(time_us, tuple(values[name] for name in METERS))
            slot = time_us // SLOT_US
            if not site.begun:  # A slot keeps its last point: the very first one borrows another.
                news.points[token, slot - 1] = point
                site.begun = True
            news.points[token, slot] = point
        for kept, names in ((news.outages, OUTAGE), (news.charges, CHARGE)):
            start_s = values.get(names[0], 0)
            if start_s and any(name in signals for name in names):
                span = Span(start_s, values.get(names[1], 0), values.get(names[2], 0))
                kept[token, start_s] = span
        text = signals.get("time_of_use_tariff")
        if isinstance(text, str) and len(text) <= TARIFF_BYTES_MAX:
            news.tariffs[token] = (time_us, text)


def _take_told(record: Record, news: News) -> None:
    if not record.vehicle:
        return
    for alert in alerts_of(record):
        key = (record.vehicle, alert.started_us, alert.name)
        if alert.ended_us >= news.alerts.get(key, alert).ended_us:  # else it is an older telling
            news.alerts[key] = alert
    for error in errors_of(record):
        news.errors[record.vehicle, error.time_us, error.name] = error
