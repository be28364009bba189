"""`motorcade export`: stored records of a vehicle or energy site as JSON lines, in order, no
duplicates; or a vehicle's telemetry as a table or a track.

It reads the files itself, so it answers the same beside a running server, after a stop and after a
kill. Tables and tracks come from history's files and from the log's tail, so what was acknowledged
last is in them. Lines come from the log alone: it reads the whole lane of the topic, because a
sender's sequence runs over all its topics, and keeps one poll's records in memory, never more.
Samples that were published have positions of their own: a second reading gives them, after what the
vehicle sent itself.
"""

import contextlib
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
    CSV = "csv"
    GPX = "gpx"
    PARQUET = "parquet"


@app.command(epilog="Example: motorcade export --vin 5YJ3E1EA7KF000001 --topic telemetry --decoded")
def export(
    topic: Annotated[str, typer.Option(help="Whose records: telemetry, diagnostics, energy, ...")],
    vin: Annotated[str, typer.Option(help="The vehicle's VIN.")] = "",
    site: Annotated[int, typer.Option(metavar="ID", help="Or the energy_site_id.")] = 0,
    data: DataOption = DEFAULT_DATA,
    format_: Annotated[
        Format,
        typer.Option(
            "--format", help="A JSON object per line; or a vehicle's telemetry as a file."
        ),
    ] = Format.JSONL,
    decoded: Annotated[
        bool, typer.Option("--decoded", help="Add the signals, where the encoding is known.")
    ] = False,
) -> None:
    """Print a vehicle's or site's stored records of one topic, a line each, none twice."""
    if bool(vin) == bool(site):
        raise typer.BadParameter("give either --vin VIN or --site ID")
    require_data(data)
    wanted = _topic(topic)
    if format_ is not Format.JSONL:
        if topic != "telemetry" or not vin or decoded:
            raise typer.BadParameter(
                f"{format_} is of a vehicle's telemetry: --vin, and no --decoded"
            )
        _print_file(data, vin, format_)
        return
    device = _device(data, vin, site)
    damaged = 0
    with _until_nobody_reads():
        for found in _records(data / "log", device, wanted):
            if found is None:
                damaged += 1
            else:
                sys.stdout.buffer.write(_line(*found, device, decoded))
        sys.stdout.buffer.flush()
    if damaged:
        raise CommandError(
            f"{damaged} damaged places of the log were left out, see above: restore these files "
            "from a copy to get what they held"
        )


def _print_file(data: Path, vin: str, format_: Format) -> None:
    """History up to what is durable now, on standard output; on the other one, how fresh it is."""
    import pyarrow

    from motorcade.clock import SystemClock
    from motorcade.config import Config
    from motorcade.history.embedded import EmbeddedHistory
    from motorcade.history.errors import HistoryError
    from motorcade.history.export import exported
    from motorcade.history.formats import Format as FileFormat
    from motorcade.history.port import Series, Span
    from motorcade.log.embedded import EmbeddedLog
    from motorcade.log.files import OsFiles
    from motorcade.streams.dedup import Dedup

    vehicle, config, clock = vehicle_of(data, vin), Config(), SystemClock()
    log = EmbeddedLog(data / "log", config.log, clock)
    history = EmbeddedHistory(
        data / "history",
        config,
        log,
        lambda: Dedup(config.dedup),
        clock,
        OsFiles(),
        lambda path: pyarrow.memory_map(str(path)),
    )
    now_us, newest_us = clock.now_us(), 0

    def read(signals: frozenset[str] | None, span: Span) -> dict[str, Series]:
        nonlocal newest_us
        found = history.read(vehicle.token, signals, span, received_until_us=now_us)
        newest_us = max([newest_us, *(int(each.received_us.max()) for each in found.values())])
        return found

    try:
        span = history.extent() or Span(0, 0)
        gap_us = round(config.history.track_gap_s * 1e6)
        title = vehicle.display_name or vehicle.vin
        pieces = exported(FileFormat(format_), read, span, None, title=title, gap_us=gap_us)
        with _until_nobody_reads():
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    except HistoryError as error:
        raise CommandError(str(error)) from error
    finally:
        history.close()
        log.close()
    age = f"{(now_us - newest_us) / 1e6:.1f} s old" if newest_us else "there is none"
    print(f"motorcade export: all that is durable; the newest record: {age}", file=sys.stderr)


@contextlib.contextmanager
def _until_nobody_reads() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # `| head` has seen enough; Python would complain again at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
