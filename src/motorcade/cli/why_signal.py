"""The causal chain of one signal of one vehicle, from the whole log: `streams/chain.py`."""

from pathlib import Path
from typing import Any

from motorcade.cli.log_reading import slices, vehicle_of
from motorcade.cli.why_presence import Presence
from motorcade.config import Config
from motorcade.events import pack_token
from motorcade.signals.catalogue import BY_NAME
from motorcade.streams.chain import BULK, Carrier, Search, explain


def chain(data: Path, vin: str, signal: str) -> dict[str, Any]:
    """What the log holds about a signal. Raises `CommandError` when there is no such vehicle."""
    vehicle = vehicle_of(data, vin)
    search = Search(signal, Config())
    high, low = pack_token(vehicle.token)
    for part in slices(data, BULK):
        search.add(part, high, low)
    presence = Presence()
    presence.read(data, vehicle.token)
    found = search.found
    return {
        "vehicle": vehicle.token,
        "signal": signal,
        "in_catalogue": signal in BY_NAME,
        "value": None if found.winner is None else found.winner.value,
        "has_value": found.winner is not None,
        "records": found.records,
        "duplicates": found.duplicates,
        "malformed": found.malformed,
        "opaque": found.opaque,
        "carried": found.carried,
        "last_received_time_us": found.last_received_us or None,
        "presence": presence.summary(),
        "carriers": [_as_object(carrier) for carrier in reversed(found.carriers)],
        "why": explain(signal, found, presence.summary()),
    }


def _as_object(carrier: Carrier) -> dict[str, Any]:
    record = carrier.record
    return {
        "received_time_us": record.received_time_us,
        "time_us": carrier.time_us,
        "value": carrier.value,
        "fate": carrier.fate,
        "writer": carrier.writer,
        "topic": record.topic.word,
        "partition": record.partition,
        "position": record.position,
        "encoding": record.encoding.content_type,
        "stream": record.stream.decode("utf-8", "backslashreplace") or None,
        "sequence": record.sequence,
    }
