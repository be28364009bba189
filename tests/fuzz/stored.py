"""What cars and engines have stored: journal, buffer, dedup's state, Kafka's messages and cursors.

Checksums are put right before the reader sees an input, as in `files.py`.
"""

import contextlib
import zlib
from itertools import count, pairwise
from struct import Struct
from typing import Final

from motorcade.config import DedupConfig
from motorcade.events import Encoding, Flags, Record, RecordBatch, Topic, make_token
from motorcade.log.errors import CursorError, LogCorruptError
from motorcade.log.kafka_cursor import Place
from motorcade.log.kafka_message import compact, decode, encode, number
from motorcade.log.port import Cursor
from motorcade.streams.dedup import Dedup
from motorcade.streams.dedup_snapshot import DedupSnapshotError
from motorcade.vehicle.buffer import _MARKED_MAX, Buffer, Stored
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.errors import RecordTooLargeError
from motorcade.vehicle.journal import Journal
from tests.fuzz.gateway import AS_PYTHON
from tests.fuzz.target import Target

COMMANDS_MAX: Final = 4
RESPONSES_BYTES_MAX: Final = 64
BUFFER_BYTES_MAX: Final = 4_096
COUNTED_ON: Final = 1_000  # more than one input adds to what its mark says
_FRAME: Final = Struct("<IIQBBxx")
_MARK: Final = Struct("<IQQ")
_CRC: Final = Struct("<I")
LARGEST: Final = (1 << 63) - 1
_NAME: Final = b"5" * 24
NAMES: Final = (b"%s %08x\n" % (_NAME, zlib.crc32(_NAME)), b"\xff" * 34, b"5 00000000\n")
CAR: Final = make_token(bytes(range(16)))


def _open_journal(disk: MemoryDisk) -> Journal:
    return Journal(disk, commands_max=COMMANDS_MAX, responses_bytes_max=RESPONSES_BYTES_MAX)


def read_journal(data: bytes) -> None:
    """As it is, then with every line's checksum put right: opened, written to, opened again."""
    lines = [b"%08x %s" % (zlib.crc32(line[9:]), line[9:]) for line in data.split(b"\n")]
    for content in (data, b"\n".join(lines)):
        disk = MemoryDisk()
        disk.replace("journal", content)
        journal = _open_journal(disk)
        known = list(journal)
        again = _open_journal(disk)
        assert list(again) == known
        assert not again.damage
        new = next(f"n{at}" for at in range(len(known) + 1) if journal.find(f"n{at}") is None)
        journal.write(new, "started", reason="", time_us=1, counter=LARGEST >> 10)
        assert journal.counter_used(LARGEST >> 10)
        again = _open_journal(disk)
        assert again.find(new) == journal.find(new)
        fresh = (name for name in map("m{}".format, count()) if again.find(name) is None)
        for counter in range(2 * COMMANDS_MAX):  # it forgets, and forbids what it forgot
            name = next(fresh)
            again.write(name, "started", reason="", time_us=1, counter=counter)
            again.write(name, "executed", reason="", time_us=2, counter=counter)
            again.sync()
        assert all(again.counter_used(counter) for counter in range(2 * COMMANDS_MAX))
        assert list(_open_journal(disk)) == list(again)


def read_buffer(data: bytes) -> None:
    """Head: bytes of the mark, of the first segment; where the second begins; how the name is."""
    if len(data) < 4:
        return
    mark, rest = data[4 : 4 + data[0]], data[4 + data[0] :]
    segments = rest[: 2 * data[1]], rest[2 * data[1] :]
    for put_right in (False, True):
        disk = MemoryDisk()
        if data[3] < len(NAMES):
            disk.replace("stream", NAMES[data[3]])
        disk.replace("mark", _mark_put_right(mark) if put_right else mark)
        for first, content in zip((1, 2 + data[2]), segments, strict=True):
            held = _frames_put_right(content) if put_right else content
            if not content:
                continue
            if first == 1 or _opened(disk).next_sequence <= first:  # none begins within another
                disk.replace(f"{first:020d}.records", held)
        buffer = _opened(disk)
        if max(buffer.acked, buffer.dropped) > _MARKED_MAX - COUNTED_ON:
            continue  # it ends at the largest mark that is believed: nobody gets there by counting
        records = _all(buffer)
        assert all(one.sequence < next_.sequence for one, next_ in pairwise(records))
        assert all(buffer.acked < one.sequence < buffer.next_sequence for one in records)
        assert buffer.backlog_bytes >= 0
        assert buffer.backlog_records >= len(records)
        sequence = buffer.append(Topic.TELEMETRY, Encoding.OPAQUE, b"more")
        buffer.sync()
        more = Stored(sequence, Topic.TELEMETRY, Encoding.OPAQUE, b"more")
        assert _all(buffer)[-1] == more
        assert _all(_opened(disk)) == _all(buffer)
        with contextlib.suppress(RecordTooLargeError):
            buffer.append(Topic.TELEMETRY, Encoding.OPAQUE, bytes(BUFFER_BYTES_MAX))
        buffer.acknowledge(sequence)
        buffer.acknowledge(sequence)
        buffer = _opened(disk)
        assert _all(buffer) == []
        dropped = buffer.dropped
        for _ in range(data[2] & 31):  # in the end, the oldest are dropped
            buffer.append(Topic.MEDIA, Encoding.OPAQUE, bytes(data[2]))
        buffer.sync()
        left = _all(_opened(disk))
        assert left == _all(buffer)
        assert len(left) + buffer.dropped - dropped == data[2] & 31


def _opened(disk: MemoryDisk) -> Buffer:
    return Buffer(disk, bytes_max=BUFFER_BYTES_MAX, entropy=bytes)


def _all(buffer: Buffer) -> list[Stored]:
    found, sequence = [], 0
    while (stored := buffer.read(sequence)) is not None:
        found.append(stored)
        sequence = stored.sequence + 1
    return found


def _mark_put_right(data: bytes) -> bytes:
    found = bytearray(data)
    for at in range(0, len(data) - _MARK.size + 1, _MARK.size):
        _CRC.pack_into(found, at, zlib.crc32(found[at + _CRC.size : at + _MARK.size]))
    return bytes(found)


def _frames_put_right(data: bytes) -> bytes:
    found, at = bytearray(data), 0
    while at + _FRAME.size <= len(found):
        end = at + _FRAME.size + _FRAME.unpack_from(found, at)[1]
        if end > len(found):
            break
        _CRC.pack_into(found, at, zlib.crc32(found[at + _CRC.size : end]))
        at = end
    return bytes(found)


def read_dedup(data: bytes) -> None:
    """A snapshot, restored, used and saved again; then with its checksum put right."""
    body = data[: -_CRC.size]
    for snapshot in (data, body + _CRC.pack(zlib.crc32(body))):
        dedup = Dedup(DEDUP)
        try:
            dedup.restore(snapshot)
        except DedupSnapshotError:
            continue
        if not AS_PYTHON:  # kernels want rows whose fields are attributes
            dedup.keep(RecordBatch.of(_RECORDS), "gateway")
        saved = dedup.snapshot()
        again = Dedup(DEDUP)
        again.restore(saved)
        assert again.snapshot() == saved


def read_kafka(data: bytes) -> None:
    """The first byte chooses: a message, or a cursor."""
    if data[:1] < b"\x80":
        with contextlib.suppress(LogCorruptError):
            batch, positions = decode(data[1:])
            own = compact(batch)
            places = range(len(batch))
            assert [own.payload(at) for at in places] == [batch.payload(at) for at in places]
            assert decode(encode(own, positions))[1] == positions
            number(batch.rows.copy(), {})
        return
    try:
        place = Place.of_cursor(Cursor(data[1:]))
    except CursorError:
        return
    assert Place.of_cursor(place.to_cursor()) == place


DEDUP: Final = DedupConfig(
    horizon_s=10, gaps_per_stream_max=3, stream_idle_s_max=20, streams_max=6, identities_max=6
)


def _sent(sequence: int, stream: bytes = b"s") -> Record:
    return Record(CAR, Topic.TELEMETRY, b"x", 5, 5, stream=stream, sequence=sequence)


def _hashed(identity: int) -> Record:
    pair = (identity, identity)
    return Record(CAR, Topic.TELEMETRY, b"", 5, 5, identity=pair, flags=Flags.IDENTITY_HASH)


_RECORDS: Final = [_sent(1), _sent(5), _sent(7, b"t"), _hashed(1), _hashed(2)]


def _journals() -> list[bytes]:
    disk = MemoryDisk()
    journal = _open_journal(disk)
    found = [b"", b"\n", b"00000000 ", b"00000000 \n", b"x" * 40]
    for counter in range(7):
        journal.write(f"c{counter}", "started", reason="", time_us=1, counter=counter)
        journal.write(f"c{counter}", "executed", reason="r", time_us=2, counter=counter)
        found.append(bytes(disk.files["journal"]))
    floor = b'00000000 {"kind":"floor","counter":%s}\n'
    found += [floor % each for each in (b"5", b"-1", b"1" + b"0" * 30, b"1.5", b'"x"')]
    found += [b'00000000 {"kind":"other"}\n', b"00000000 " + b"[" * 1_500 + b"\n", b"00000000 \xff"]
    whole = found[-9]
    return [*found, whole[:-1], whole[:-9], whole[:30] + b"\0" + whole[31:], whole[:-1] + b"\1"]


def _buffers() -> list[bytes]:
    disk = MemoryDisk()
    buffer = _opened(disk)
    for each in range(4):
        buffer.append(Topic.TELEMETRY, Encoding.OPAQUE, b"p" * 8 * each)
    buffer.sync()
    held = bytes(disk.files["00000000000000000001.records"])
    marks = [_MARK.pack(0, *each) for each in ((0, 0), (2, 1), (9, 0), (LARGEST, 0))]
    marks += [b"\xff" * _MARK.size, marks[1] + b"x", b""]
    second = _FRAME.pack(0, 2, 6, Topic.MEDIA, Encoding.OPAQUE) + b"xy"
    odd = [_FRAME.pack(0, 0, 5, *each) for each in ((200, 0), (1, 200), (0, 0))]
    contents = [held, held[:-3], held[:60] + b"\xff" + held[61:], held + second, held[30:], b""]
    contents += [held + each for each in odd]
    found = [
        bytes((len(mark), min(len(content) // 2, 255), 4, 0)) + mark + content + tail
        for mark in marks
        for content in contents
        for tail in (b"", second)
        if len(mark) < 256
    ]
    heads = [bytes((0, 255, 255, name)) for name in range(4)]
    return [*found, bytes((0, 0, 0, 0)) + held, *(head + held + b"x" for head in heads)]


def _snapshots() -> list[bytes]:
    dedup = Dedup(DEDUP)
    found = [dedup.snapshot()]
    for record in (*_RECORDS, *(_sent(each) for each in (9, 11, 13, 3))):
        dedup.keep(RecordBatch.of([record]), "gateway")
        found.append(dedup.snapshot())
    last = found[-1]
    counts = Struct("<4s5Q").size + 8 * 4 * 2
    many = [last[:counts] + each + last[counts + 8 :] for each in (bytes(8), b"\xff" * 8)]
    many.append(found[0][:28] + bytes(16) + found[0][-4:])  # tables that hold nothing
    less = last[:counts] + b"\2" + last[counts + 1 :]
    return [*found, *many, less, b"", b"abc", b"MCD2" + last[4:], last[:-12] + last[-4:]]


def _messages() -> list[bytes]:
    batch = RecordBatch.of(_RECORDS)
    rows = batch.rows.copy()
    number(rows, {})
    whole = encode(compact(RecordBatch(rows, batch.buffer)), {1 << 16: 5, 2 << 16 | 1: 7})
    found = [encode(compact(batch), {}), whole]
    for field, value in (
        ("start", 1 << 20),
        ("payload_bytes", 99),
        ("topic", 200),
        ("encoding", 99),
    ):
        odd = rows.copy()
        odd[field] = value
        found.append(encode(RecordBatch(odd, batch.buffer), {}))
    place = Place({"t": [1, 2]}, 5, {"t": [True, False]}).to_cursor()
    bad = [b"kafka1:{}", b'kafka1:{"offsets":{"t":[-1]}}', b'kafka1:{"begun":{"t":[true]}}']
    bad += [b"kafka1:" + b"[" * 2_000, b"kafka1:\xff", b"x"]
    found += [b"", whole[:15], b"MCK2" + whole[4:], whole + b"x"]
    return [*(b"\x00" + each for each in found), *(b"\x80" + each for each in (place, *bad))]


TARGETS = (
    Target("vehicle-journal", read_journal, _journals, ("motorcade.vehicle.journal",), 1_000),
    Target("vehicle-buffer", read_buffer, _buffers, ("motorcade.vehicle.buffer",)),
    Target("dedup-snapshot", read_dedup, _snapshots, ("motorcade.streams.dedup_snapshot",)),
    Target(
        "kafka-message",
        read_kafka,
        _messages,
        ("motorcade.log.kafka_message", "motorcade.log.kafka_cursor"),
        1_500,
    ),
)
