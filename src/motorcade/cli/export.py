"""`motorcade export`: stored records of a vehicle or energy site as JSON lines, in order, no
duplicates.

Reads the log's files itself, so it answers the same beside a running server, after a stop and after
a kill. It reads the whole lane of the topic, because a sender's sequence runs over all its topics,
and keeps one poll's records in memory, never more. Samples that were published have positions of
their own: a second reading gives them, after what the vehicle sent itself.
"""

import os
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from motorcade.cli.data import DEFAULT_DATA, DataOption, require_data
from motorcade.cli.log_reading import site_of, vehicle_of
from motorcade.cli.render import CommandError, new_app

if TYPE_CHECKING:  # numpy and the kernels load when there is something to read
    from motorcade.events import Record, Topic, VehicleToken
    from motorcade.log.port import LogSlice
    from motorcade.log.reader import EmbeddedReader

PUBLISHED_FROM: Final = 1 << 48  # sequence of the first published record; JSON's integers fit 2^53

app = new_app()


class Device(NamedTuple):
    """Whose records: what a line names it by, and its token."""

    name: dict[str, Any]
    token: "VehicleToken"


class Format(StrEnum):
    """How records are printed."""

    JSONL = "jsonl"


@app.command(epilog="Example: motorcade export --vin 5YJ3E1EA7KF000001 --topic telemetry --decoded")
def export(
    topic: Annotated[str, typer.Option(help="Whose records: telemetry, diagnostics, energy, ...")],
    vin: Annotated[str, typer.Option(help="The vehicle's VIN.")] = "",
    site: Annotated[int, typer.Option(metavar="ID", help="Or the energy_site_id.")] = 0,
    data: DataOption = DEFAULT_DATA,
    format_: Annotated[Format, typer.Option("--format", help="One JSON object per line.")] = (
        Format.JSONL
    ),
    decoded: Annotated[
        bool, typer.Option("--decoded", help="Add the signals, where the encoding is known.")
    ] = False,
) -> None:
    """Print a vehicle's or site's stored records of one topic, a line each, none twice."""
    if bool(vin) == bool(site):
        raise typer.BadParameter("give either --vin VIN or --site ID")
    require_data(data)
    wanted = _topic(topic)
    device = _device(data, vin, site)
    damaged = 0
    try:
        for found in _records(data / "log", device, wanted):
            if found is None:
                damaged += 1
            else:
                sys.stdout.buffer.write(_line(*found, device, decoded))
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # `| head` has seen enough; Python would complain again at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if damaged:
        raise CommandError(
            f"{damaged} damaged places of the log were left out, see above: restore these files "
            "from a copy to get what they held"
        )


def _device(data: Path, vin: str, site_id: int) -> Device:
    if vin:
        vehicle = vehicle_of(data, vin)
        return Device({"vin": vehicle.vin}, vehicle.token)
    site = site_of(data, site_id)
    return Device({"energy_site_id": site.id}, site.token)


def _topic(word: str) -> "Topic":
    from motorcade.events import Topic

    topics = {topic.word: topic for topic in Topic}
    if word not in topics:
        raise CommandError(f"there is no topic {word!r}; there are {', '.join(topics)}")
    return topics[word]


def _records(
    directory: Path, device: Device, topic: "Topic"
) -> "Iterator[tuple[Record, int] | None]":
    """The vehicle's records, from the first to what is durable now, each with its sequence; `None`
    for a damaged place."""
    from motorcade.clock import SystemClock
    from motorcade.config import Config
    from motorcade.events import pack_token
    from motorcade.log.embedded import EmbeddedLog
    from motorcade.log.port import Edge
    from motorcade.log.topics import TOPICS
    from motorcade.streams.dedup import Dedup

    if not directory.exists():  # no server has run yet
        return
    config = Config()
    lane = TOPICS[topic].lane
    whole_lane = frozenset(each for each, row in TOPICS.items() if row.lane is lane)
    high, low = pack_token(device.token)
    dedup = Dedup(config.dedup)
    told: set[str] = set()
    log = EmbeddedLog(directory, config.log, SystemClock())
    try:
        others = False  # of this device, in the other lane
        for base in (0, PUBLISHED_FROM):
            if base and not others:
                break
            for given in _slices(log.reader(whole_lane, Edge.EARLIEST), told):
                if given is None:
                    yield None
                    continue
                rows = given.batch.rows
                own = given.batch.select((rows["vehicle_lo"] == low) & (rows["vehicle_hi"] == high))
                if _base(given) != base:
                    others |= len(own.rows) > 0
                    continue
                keep = dedup.keep(own, given.writer)
                for record in own.select(keep & (own.rows["topic"] == topic)):
                    yield record, base + record.position
    finally:
        log.close()


def _base(given: "LogSlice") -> int:
    """What a record's position in its lane is counted from: positions are each writer's own."""
    from motorcade.log.topics import Lane

    return PUBLISHED_FROM if (given.writer, given.lane) == ("api", Lane.BULK) else 0


def _slices(reader: "EmbeddedReader", told: set[str]) -> "Iterator[LogSlice | None]":
    """Everything that is there, up to the first poll that finds nothing more. Damage that `told`
    holds from an earlier reading is not told again."""
    from motorcade.log.errors import LogCorruptError

    while True:
        try:
            slices = reader.poll(0.0)
        except LogCorruptError as error:
            reader.skip_damage()
            if str(error) not in told:
                told.add(str(error))
                print(f"motorcade export: {error}", file=sys.stderr)
                yield None
            continue
        if not slices:
            return
        yield from slices


def _line(record: "Record", sequence: int, device: Device, decoded: bool) -> bytes:
    """One record as a line of JSON; payload bytes become base64."""
    import msgspec

    line: dict[str, Any] = {
        **device.name,
        "token": device.token,
        "sequence": sequence,
        "sender_stream": None if record.sequence is None else _text(record.stream),
        "sender_sequence": record.sequence,
        "event_time_us": record.event_time_us,
        "received_time_us": record.received_time_us,
        "encoding": record.encoding.content_type,
        "payload_base64": record.payload,
    }
    if record.name:
        line["name"] = _text(record.name)
    if decoded:
        from motorcade.signals.decode import decode_record

        line["decoded"] = decode_record(record)
    return msgspec.json.encode(line) + b"\n"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
