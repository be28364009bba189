"""`GET /api/2/vehicles/{id}/export`: a vehicle's history as a file, by the rules of every answer.

It is made piece by piece in a thread, the next one when the client has taken the last: who reads
slowly keeps one piece and one of `history.exports_max` places, for `history.export_s_max` at most.
What fails in the middle breaks the connection off, so that no client takes a part for the whole.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.errors import ApiError, missing_scopes
from motorcade.api.history import Asked, answered, asked_series, read_signals, read_span
from motorcade.api.rights import LOCATION
from motorcade.api.sight import Sight
from motorcade.api.stream import Placed
from motorcade.events import VehicleToken
from motorcade.history.errors import HistoryBusyError
from motorcade.history.formats import MEDIA_TYPES, Format
from motorcade.history.port import History, Series, Span
from motorcade.registry.audit.port import What

BUSY_S: Final = 0.05  # until history is asked again
BUSY_TRIES: Final = 600


class _Download(Stream):
    """A file as a `Placed` answer."""

    def __init__(
        self,
        place: Callable[[], contextlib.AbstractContextManager[None]],
        frames: AsyncGenerator[bytes, None],
        format_: Format,
        name: str,
    ) -> None:
        super().__init__(
            frames,
            status_code=200,
            media_type=MEDIA_TYPES[format_],
            headers={
                "content-disposition": f'attachment; filename="{name}.{format_}"',
                "cache-control": "no-store",
            },
        )
        self._place, self._frames = place, frames

    def to_asgi_response(self, *words: Any, **named: Any) -> Any:
        """The framework's answer, in its place."""
        return Placed(self._place, self._frames, super().to_asgi_response(*words, **named))


@get("/api/2/vehicles/{tag:str}/export")
async def export_vehicle(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Stream:
    """What the vehicle said from `from_us` until before `to_us` (without them, in the last hour).

    As a file of this `format`; `signals` (a,b) says which, without it all. A GPX track wants
    `vehicle_location`.
    """
    access, vehicle = counter.admit(request, tag)
    limits, now_us = counter.config.history, counter.clock.now_us()
    try:
        format_ = Format(request.query_params.get("format", ""))
    except ValueError as error:
        words = ", ".join(Format)
        raise ApiError(400, "invalid_field", f"format: must be one of {words}") from error
    span, signals = read_span(request, now_us, limits), read_signals(request)
    if format_ is Format.GPX and signals is not None:
        raise ApiError(400, "invalid_field", "signals: a GPX track has its own")
    sight = counter.sight(access, vehicle)
    if format_ is Format.GPX and not sight.located:
        raise missing_scopes((LOCATION,))
    extent = await answered(counter, lambda history: history.extent())
    from motorcade.history.export import exported  # loads Arrow

    make = counter.history
    assert make is not None  # `answered` has asked it
    pieces = exported(
        format_,
        _reader(make(), vehicle.token, sight, now_us, limits.known_s_max),
        _both(span, extent),
        signals,
        title=vehicle.display_name or str(vehicle.id),
        gap_us=round(limits.track_gap_s * 1e6),
    )
    begin = datetime.fromtimestamp(span.from_us // 1_000_000, UTC)
    name = f"vehicle-{vehicle.id}-{begin:%Y%m%dT%H%M%SZ}"
    await counter.audit.tell(access, What.EXPORTED, f"{name}.{format_}", vehicle=vehicle.token)
    return _Download(counter.export_place, _frames(counter, pieces), format_, name)


def _both(span: Span, extent: Span | None) -> Span:
    """What of the span is in the extent."""
    if extent is None:
        return Span(span.from_us, span.from_us)
    from_us = max(span.from_us, extent.from_us)
    return Span(from_us, max(from_us, min(span.until_us, extent.until_us)))


def _reader(
    history: History, token: VehicleToken, sight: Sight, known_us: int, known_s_max: float
) -> Callable[[frozenset[str] | None, Span], Mapping[str, Series]]:
    """Asks for what may be told, as it was known when the download began."""

    def read(signals: frozenset[str] | None, span: Span) -> Mapping[str, Series]:
        asked = Asked(token, signals, span, 0, known_us)
        for _ in range(BUSY_TRIES):
            with contextlib.suppress(HistoryBusyError):
                return asked_series(history, asked, sight, known_s_max)
            threading.Event().wait(BUSY_S)
        return asked_series(history, asked, sight, known_s_max)

    return read


async def _frames(counter: Counter, pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    end_s = counter.clock.monotonic_s() + counter.config.history.export_s_max
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        if counter.streams.closing or counter.clock.monotonic_s() > end_s:
            raise ConnectionAbortedError("the server stops, or the download took too long")
        if piece:
            yield piece
