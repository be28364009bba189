"""`recent_alerts`: what the car's own supervision told, from the ledger of what cars streamed."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from motorcade.api.counter import AnyRequest, Counter, told_by
from motorcade.api.envelope import ok
from motorcade.api.shapes import Envelope
from motorcade.meters.port import Alert

_MS: Final = 1_000


class RecentAlert(Struct, kw_only=True):
    """Tesla's shape; nobody writes a text for people here: `user_text` is empty."""

    name: str
    time: str  # ISO 8601, when it began, by the car's clock
    audience: list[str]  # of customer, service, service-fix
    user_text: str = ""


class RecentAlerts(Struct):
    recent_alerts: list[RecentAlert]


@get("/api/1/vehicles/{tag:str}/recent_alerts")
async def recent_alerts(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[RecentAlerts]]:
    """The alerts that the vehicle has streamed, the newest first. It may be asleep or away."""
    _, vehicle = counter.admit(request, tag)
    found = await asyncio.to_thread(told_by(counter).alerts, vehicle.token)
    return ok(RecentAlerts([_shown(alert) for alert in found]))


def _shown(alert: Alert) -> RecentAlert:
    began = datetime.fromtimestamp(alert.started_us // 1_000_000, UTC)
    began = began.replace(microsecond=alert.started_us % 1_000_000 // _MS * _MS)
    return RecentAlert(
        name=alert.name,
        time=began.isoformat(timespec="milliseconds"),
        audience=list(alert.audiences),
    )
