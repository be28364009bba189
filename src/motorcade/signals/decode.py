"""Records to readings in the sender's own names and units, for tools: `decode_record`.

The hot road to samples is `decoder.py`; both read payloads by the same rules.
"""

from typing import Any

from motorcade.events import Encoding, Record
from motorcade.signals.catalogue import BY_ID, FIELDS, field_name
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.json.plain import read_json
from motorcade.signals.packed import read_packed
from motorcade.signals.tesla import parse_payload
from motorcade.signals.values import read_value, shown


def decode_record(record: Record) -> list[dict[str, Any]] | None:
    """`[{"time_us", "signals": {name: value}}, ...]`; `None` when the payload cannot be read.

    Tesla: Field names, values typed whatever form they came in, compound values as objects, enums
    by their full names, `None` for unavailable. JSON and packed samples: as sent.
    """
    try:
        if record.encoding is Encoding.TESLA_TELEMETRY:
            return [{"time_us": record.event_time_us, "signals": _tesla_signals(record.payload)}]
        if record.encoding is Encoding.JSON_SIGNALS:
            readings = read_json(record.payload)
        elif record.encoding is Encoding.SAMPLES:
            readings = read_packed(record.payload)
        else:
            return None
    except MalformedPayloadError:
        return None
    return [
        {
            "time_us": record.event_time_us if reading.time_us is None else reading.time_us,
            "signals": reading.signals,
        }
        for reading in readings
    ]


def _tesla_signals(payload: bytes) -> dict[str, Any]:
    signals = {}
    for datum in parse_payload(payload):
        signal = BY_ID[datum.field] if 0 <= datum.field < FIELDS else None
        signals[field_name(datum.field)] = shown(read_value(signal, datum.value))
    return signals
