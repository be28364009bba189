"""`GET /api/2/vehicles/{id}/explain`: the records that a signal's value was computed from.

The page's *explain*, as `motorcade why` is the command line's. History tells which samples came
last and when each arrived, the log around those instants has the records themselves, and what
became of each is judged as live state judges it (`streams/chain.py`). Who may not be told a value
is told nothing of its records. Reading blocks, so it runs in a thread.
"""

from dataclasses import dataclass
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, missing_scopes
from motorcade.api.history import answered
from motorcade.api.past import past_state, read_instant
from motorcade.api.past_sight import AS_THEY_ARE
from motorcade.api.rights import LOCATION
from motorcade.api.shapes import Envelope
from motorcade.api.sight import Sight
from motorcade.events import VehicleToken
from motorcade.history.port import History, Span
from motorcade.log.errors import LogError
from motorcade.signals.samples import NAME_BYTES_MAX
from motorcade.state.port import Mode, SignalValue
from motorcade.streams.chain import SHOWN_MAX, Carrier, ChainBusyError, explain

Value = float | str | bool | None

NO_VALUE: Final = "the vehicle has never said it, as far as the log is kept"
GONE: Final = "the log has the record that it came in no more (retention): history keeps the value"


class RecordTold(Struct, kw_only=True):
    """A record that carried the signal."""

    received_us: int
    time_us: int  # when the value was true, by the vehicle's clock
    value: Value
    fate: str  # what became of the value
    topic: str
    partition: int
    position: int  # with topic, partition and writer: which record it is
    writer: str  # which process of ours wrote it
    encoding: str


class Explained(Struct, kw_only=True):
    """A value, why it is so, and the newest records that carried the signal, newest first."""

    signal: str
    has_value: bool
    value: Value
    unit: str
    time_us: int | None
    why: list[str]
    records: list[RecordTold]
    missing: int  # records that the log has no more, or that were not found in time


@dataclass(frozen=True, slots=True)
class _Asked:
    vehicle: VehicleToken
    signal: str
    said: SignalValue
    online: bool  # or nobody asks: of a past instant
    received_until_us: int | None  # None: whatever came since


@get("/api/2/vehicles/{tag:str}/explain")
async def explain_signal(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[Explained]]:
    """The records behind the value of `signal`, as it is now or was at `at` (with `mode`)."""
    access, vehicle = counter.admit(request, tag)
    signal = _read_signal(request)
    instant = read_instant(request)
    sight = counter.sight(access, vehicle)
    _demand_sight(sight, signal)
    state = counter.state.read(vehicle.token)
    received_until_us = None
    if instant is not None:
        state = (await past_state(counter, instant)).read(vehicle.token)
        if instant.mode is Mode.ARRIVED:
            received_until_us = instant.at_us
    said = state.signals.get(signal)
    if said is None:
        return ok(_without(signal))
    online = state.online or instant is not None
    asked = _Asked(vehicle.token, signal, said, online, received_until_us)
    return ok(await answered(counter, lambda history: _explain(counter, history, asked)))


def _read_signal(request: AnyRequest) -> str:
    """Raises the 400."""
    name = request.query_params.get("signal", "")
    if not 0 < len(name.encode("utf-8", "replace")) <= NAME_BYTES_MAX:
        text = f"signal: must be a name of 1 to {NAME_BYTES_MAX} bytes"
        raise ApiError(400, "invalid_field", text)
    return name


def _demand_sight(sight: Sight, signal: str) -> None:
    """Of a signal that tells of places, all or nothing: records are neither cut nor moved.

    Raises the 403.
    """
    if signal in AS_THEY_ARE:
        return
    if not sight.located:
        raise missing_scopes((LOCATION,))
    if sight.limited:
        text = "the owner keeps back where this vehicle is: what tells of it is not explained"
        raise ApiError(403, "Unauthorized", text)


def _without(signal: str) -> Explained:
    return Explained(
        signal=signal, has_value=False, value=None, unit="", time_us=None, why=[NO_VALUE],
        records=[], missing=0,
    )  # fmt: skip


def _explain(counter: Counter, history: History, asked: _Asked) -> Explained:
    """For a thread. Raises the 503, and what `History.read` does."""
    said, records = asked.said, counter.records
    assert records is not None  # app.py gives it; tests of other routes need none
    back_us = round(counter.config.history.explain_s * 1e6)
    span = Span(said.time_us - back_us, said.time_us + 1)
    until_us = asked.received_until_us
    read = history.read(asked.vehicle, {asked.signal}, span, received_until_us=until_us)
    series = read.get(asked.signal)
    arrived: list[int] = [] if series is None else series.received_us.tolist()
    # That of the value itself, the last one by its time, may have come before many late ones.
    arrived = [*arrived[-1:], *sorted(arrived[:-1])[1 - SHOWN_MAX :]]
    try:
        found, missing = records.find(asked.vehicle, asked.signal, arrived)
    except ChainBusyError as error:
        raise ApiError(503, "explains_busy", str(error), headers={"Retry-After": "1"}) from error
    except LogError as error:
        raise ApiError(503, "log_unavailable", str(error)) from error
    winner = found.winner
    if winner is None or winner.time_us != said.time_us:
        why, missing = [GONE], max(missing, 1)
    else:
        why = explain(asked.signal, found, {"online": asked.online})
    return Explained(
        signal=asked.signal,
        has_value=True,
        value=said.value,
        unit=said.unit,
        time_us=said.time_us,
        why=why,
        records=[_told(carrier) for carrier in reversed(found.carriers)],
        missing=missing,
    )


def _told(carrier: Carrier) -> RecordTold:
    record = carrier.record
    return RecordTold(
        received_us=record.received_time_us,
        time_us=carrier.time_us,
        value=carrier.value,
        fate=carrier.fate,
        topic=record.topic.word,
        partition=record.partition,
        position=record.position,
        writer=carrier.writer,
        encoding=record.encoding.content_type,
    )
