"""`GET vehicle_data`: live state in Tesla's sections and units. The members stand in a table."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from motorcade.api import schedule_data
from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.envelope import Made
from motorcade.api.errors import ApiError, offline
from motorcade.api.presence import ONLINE, presence
from motorcade.api.shapes import Envelope
from motorcade.api.sight import Sight
from motorcade.api.vehicle_data_table import LOCATION_MEMBERS, SECTIONS, Member
from motorcade.api.vehicles import entry_of
from motorcade.registry.port import Vehicle
from motorcade.state.port import SignalValue, VehicleState

LOCATION_DATA: Final = "location_data"
COMBO: Final = "vehicle_data_combo"  # everything but the location, by one name


@get("/api/1/vehicles/{tag:str}/vehicle_data")
async def vehicle_data(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[dict[str, Any]]]:
    """The sections in `endpoints` (a;b;c); without it, all but the location."""
    access, vehicle = counter.admit(request, tag)
    endpoints = read_endpoints(request.query_params.get("endpoints"))
    sight, drives = counter.sight(access, vehicle), not access.owns(vehicle.owner)
    return Made(counter.answers.of(Shown(vehicle, endpoints, sight, drives), counter.state))


class Shown(NamedTuple):
    """All that an answer follows from, beside the vehicle's state."""

    vehicle: Vehicle
    endpoints: frozenset[str]
    sight: Sight  # what of the location may be told
    drives: bool  # to a driver, not to the owner

    def encoded(self, state: VehicleState) -> bytes:
        """The answer's body. Raises the 408 where the vehicle is asleep or offline."""
        if presence(state) != ONLINE:
            raise offline()
        state, located = self.sight.view(state)
        sections = build_sections(state, self.endpoints, located=located)
        entry = entry_of(state, self.vehicle, drives=self.drives)
        return msgspec.json.encode(Envelope(msgspec.to_builtins(entry) | sections))


def read_endpoints(text: str | None) -> frozenset[str]:
    """The sections asked for. Raises the 400 for one that does not exist."""
    if not text:
        return frozenset(SECTIONS)
    endpoints = frozenset(part.strip() for part in text.split(";") if part.strip())
    unknown = endpoints - SECTIONS.keys() - schedule_data.SECTIONS.keys() - {LOCATION_DATA, COMBO}
    if unknown:
        raise ApiError(400, "invalid_field", f"endpoints: no {sorted(unknown)[0][:64]!r}")
    if COMBO in endpoints:
        endpoints |= SECTIONS.keys() | schedule_data.SECTIONS.keys()
    return endpoints


def build_sections(
    state: VehicleState, endpoints: frozenset[str], *, located: bool
) -> dict[str, dict[str, Any]]:
    """The sections, each with the time of its newest value. `located`: the location may be told."""
    sections = {
        name: _section(members, state.signals)
        for name, members in SECTIONS.items()
        if name in endpoints
    }
    for name in schedule_data.SECTIONS.keys() & endpoints:
        sections[name] = schedule_data.section(name, state.signals, located=located)
    if LOCATION_DATA in endpoints and located:
        location = _section(LOCATION_MEMBERS, state.signals)
        location["gps_as_of"] = location["timestamp"] // 1_000
        sections[LOCATION_DATA] = location
        if "drive_state" in sections:
            drive = sections["drive_state"]
            newest = max(drive["timestamp"], location["timestamp"])
            sections["drive_state"] = drive | location | {"timestamp": newest}
    return sections


def _section(members: tuple[Member, ...], signals: Mapping[str, SignalValue]) -> dict[str, Any]:
    section: dict[str, Any] = {}
    newest_us = 0
    for member in members:
        shown: Any = None
        for name in member.signals:
            reading = signals.get(name)
            if reading is not None and reading.value is not None:
                shown = member.way(name, reading.value)
                newest_us = max(newest_us, reading.time_us)
                break
        group, dot, inner = member.name.partition(".")
        if dot:
            section.setdefault(group, {})[inner] = shown
        else:
            section[group] = shown
    section["timestamp"] = newest_us // 1_000  # ms
    return section
