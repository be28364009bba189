"""What is read from disk and from the command line: log, cursors, vehicle.json, settings, backups.

A checksum would hide all behind it from a fuzzer, so it is put right first: the reader must also
stand what another version, or somebody else, wrote with a right one.
"""

import base64
import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import re
import tempfile
import zlib
from pathlib import Path
from struct import Struct

import msgspec
import numpy as np
import xxhash

from motorcade.backup import manifest
from motorcade.backup.errors import BackupError
from motorcade.config import Config, ConfigError
from motorcade.events import Bytes
from motorcade.log.checking import check_segment, goes_on
from motorcade.log.cursors import GroupCursors, Place, decode_cursor, encode_cursor
from motorcade.log.errors import CursorError
from motorcade.log.files import OsFiles
from motorcade.log.frame import (
    HEADER_BYTES,
    MAGIC_BYTES,
    Frame,
    find_frame,
    pack_frame,
    scan_frames,
)
from motorcade.log.gather import gather
from motorcade.log.kafka_message import record_bytes
from motorcade.log.port import Cursor
from motorcade.log.segment import SegmentHead, pack_head, segment_path
from motorcade.vehicle.errors import VehicleFileError
from motorcade.vehicle.vehicle_file import (
    address_of,
    checks_of,
    read_ready_file,
    read_vehicle_file,
)
from tests.faulty_files import FaultyFiles
from tests.fuzz.target import Target
from tests.log.lanes import LaneOnDisk, batch, group

_FRAME = Struct("<IIQQQQ")  # magic, version, checksum, total bytes, segment, offset
_BLOCK = Struct("<IIQQ")
_TRAILER = Struct("<IIQQQqqQ")
_CHECKSUM = Struct("<Q")


def read_log(data: bytes) -> None:
    """Frames, as they are and with their checksums put right."""
    for each in (data, _frames_put_right(data)):
        held = _held(each)
        scan = scan_frames(held, 1, 0)
        assert 0 <= scan.used <= len(each)
        assert all(frame.start + frame.total_bytes <= len(each) for frame in scan.frames)
        found = find_frame(held, 1, 0)
        assert found is None or found + HEADER_BYTES <= len(each)
        for frame in scan.frames:
            assert _packed_again(held, frame) == frame
        _lie_inside(held, scan.frames)


def _lie_inside(held: Bytes, frames: list[Frame]) -> None:
    """What is gathered of the frames stays within them, whatever their rows say."""
    read = gather(held, frames, (1 << 64) - 1)
    rows = read.batch.rows
    ends = rows["start"].astype(np.int64) + record_bytes(rows)
    last = max((frame.start + frame.total_bytes for frame in frames[: read.frames]), default=0)
    assert len(rows) == 0 or ends.max() <= last


def _packed_again(held: Bytes, frame: Frame) -> Frame:
    """What a frame reads as that is packed of another's parts, in the same place."""
    cursor = held[frame.cursor_start : frame.cursor_start + frame.cursor_bytes].tobytes()
    parts, size = pack_frame(
        [held[frame.rows_start : frame.buffer_start + frame.buffer_bytes].data],
        segment=1,
        offset=frame.start,
        records=frame.records,
        buffer_bytes=frame.buffer_bytes,
        topics=frame.topics,
        time_us=(frame.time_us_min, frame.time_us_max),
        input_cursor=cursor,
    )
    whole = bytes(frame.start) + b"".join(parts)
    assert len(whole) == frame.start + size
    scan = scan_frames(_held(whole)[frame.start :], 1, frame.start)
    return Frame(*_moved(scan.frames[0], frame.start))


def _moved(frame: Frame, by: int) -> tuple[int, ...]:
    starts = {"start", "rows_start", "buffer_start"}
    return tuple(
        value + by if name in starts else value
        for name, value in zip(Frame._fields, frame, strict=True)
    )


def read_segment(data: bytes) -> None:
    """A whole segment; the second time, with every checksum put right."""
    for each in (data, _segment_put_right(data)):
        held = _held(each)
        for end in (None, len(each), len(each) // 2, 2 * len(each)):
            checked = check_segment(held, 1, end)
            assert checked.records >= 0
            goes_on(checked, checked)


def _held(data: bytes) -> Bytes:
    """As the log reads it: from an address that is a multiple of 8."""
    return np.frombuffer(bytearray(data) + bytearray(8), np.uint8)[: len(data)]


def _frames_put_right(data: bytes) -> bytes:
    """From the last to the first: one that lies in another is under its checksum."""
    found = bytearray(data)
    for match in reversed(list(re.finditer(re.escape(MAGIC_BYTES), data))):
        at = match.start()
        if len(found) - at >= HEADER_BYTES:
            total = _FRAME.unpack_from(found, at)[3]
            if HEADER_BYTES <= total <= len(found) - at:
                digest = xxhash.xxh3_64_intdigest(found[at + 16 : at + total])
                _CHECKSUM.pack_into(found, at + 8, digest)
    return bytes(found)


def _segment_put_right(data: bytes) -> bytes:
    """Frames, head, trailer, and the foot that it points at."""
    found = bytearray(_frames_put_right(data))
    blocks, trailer = [0], len(found) - _TRAILER.size
    if trailer >= 0:
        fixed = _TRAILER.unpack_from(found, trailer)[:-1]
        digest = xxhash.xxh3_64_intdigest(_TRAILER.pack(*fixed, 0))
        _TRAILER.pack_into(found, trailer, *fixed, digest)
        blocks.append(fixed[3])
    for at in blocks:
        if at + _BLOCK.size <= len(found):
            start, size = at + _BLOCK.size, _BLOCK.unpack_from(found, at)[3]
            digest = xxhash.xxh3_64_intdigest(found[start : start + size])
            _CHECKSUM.pack_into(found, at + 8, digest)
    return bytes(found)


def read_cursor(data: bytes) -> None:
    """A cursor, and a consumer group's file: the group's name, a line feed, what it holds."""
    with contextlib.suppress(CursorError):
        places = decode_cursor(Cursor(data))
        assert decode_cursor(encode_cursor(places)) == places
    word, _, held = data.partition(b"\n")
    name = word.decode("utf-8", "replace")
    files, directory = FaultyFiles(), Path("/cursors")
    cursors = GroupCursors(files, directory)
    try:
        assert cursors.load(name) is None
    except ValueError:
        return
    path = directory / f"{name}.cursor"
    assert path.parent == directory
    cursors.store(name, Cursor(held))
    assert cursors.load(name) == held
    fd = files.open(path, create=False)
    files.write(fd, [held], 0)
    with contextlib.suppress(CursorError):
        cursors.load(name)


def read_vehicle(data: bytes) -> None:
    """`vehicle.json` and the ready file, beside PEM files; then with the file's sum put right."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "vehicle.json"
        (path.parent / "x").write_bytes(b"x")
        for each in (data, _vehicle_put_right(data)):
            path.write_bytes(each)
            with contextlib.suppress(VehicleFileError):
                address_of(read_vehicle_file(path).servers, "mqtt")
            with contextlib.suppress(VehicleFileError):
                address_of(read_ready_file(path), "mqtt")


def _vehicle_put_right(data: bytes) -> bytes:
    try:
        members = msgspec.json.decode(data)
        checks = members["checks"]
        members["checks"] = {name: sum_ for name, sum_ in checks.items() if name != "vehicle"}
        check = zlib.crc32(msgspec.json.encode(members, order="sorted"))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return data
    members["checks"]["vehicle"] = check
    return msgspec.json.encode(members)


def read_settings(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        config = Config().with_overrides([text])
    except ConfigError:
        return
    before, after = (_flat(each) for each in (Config(), config))
    changed = [name for name in before if before[name] != after[name]]
    assert len(changed) <= 1
    for name in changed:
        assert type(after[name]) is type(before[name])
        assert not isinstance(after[name], float) or math.isfinite(after[name])
    assert config.with_overrides([text]) == config


def _flat(config: Config) -> dict[str, object]:
    groups = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        f"{name}.{field.name}": getattr(group, field.name)
        for name, group in groups.items()
        for field in dataclasses.fields(group)
    }


def read_manifest(data: bytes) -> None:
    body = data.partition(b"\n")[2]
    for each in (data, hashlib.sha256(body).hexdigest().encode() + b"\n" + body):
        try:
            found = manifest.unpack(each)
        except BackupError:
            continue
        assert manifest.unpack(manifest.pack(found)) == found
        assert not any(".." in entry.name.split("/") for entry in found.files)


def _segments() -> list[bytes]:
    with tempfile.TemporaryDirectory() as directory:
        lane = LaneOnDisk(OsFiles(), Path(directory))
        appender = lane.open()
        appender.commit(group(batch(0, 2), b"a cursor"))
        appender.commit(group(batch(2, 1)))
        appender.commit(group(batch(3, 1)))
        active = segment_path(lane.directory, 1).read_bytes()
        lane.close(appender)
        sealed = segment_path(lane.directory, 1).read_bytes()
    places = [match.start() for match in re.finditer(re.escape(MAGIC_BYTES), sealed)]
    lost = [sealed[:at] + bytes(8) + sealed[at + 8 :] for at in places]
    head = SegmentHead(
        writer="w",
        lane="bulk",
        number=2,
        partitions=2,
        created_time_us=1,
        previous_end=0,
        positions=[(1, 0, 5)],
        input_cursor=b"",
    )
    beyond = msgspec.structs.replace(head, number=1, positions=[(1, 2, 5)])
    heads = [pack_head(each) + sealed[places[0] :] for each in (head, beyond)]
    whole = [active[: len(sealed)], sealed, sealed[:-1], sealed[:200], sealed[-200:]]
    return [*whole, *lost, *heads, sealed[:-90] + bytes(8) + sealed[-82:]]


def _frames() -> list[bytes]:
    """As they are; alone, as if the first of their file; and two of these after each other."""
    sealed = _segments()[1]
    places = [match.start() for match in re.finditer(re.escape(MAGIC_BYTES), sealed)]
    alone = [_at(sealed[start:end], 0) for start, end in itertools.pairwise(places)]
    both = alone[0] + _at(alone[1], len(alone[0]))
    later = [bytes(8) + _at(alone[0], 8), bytes(4) + alone[0], alone[0][:-8], both + b"RFCM"]
    other = [alone[0][:4] + b"\2" + alone[0][5:], b"RFCM\1\0\0\0RFCM" + bytes(80)]
    return [*alone, both, *later, *other, sealed]


def _at(frame: bytes, offset: int) -> bytes:
    """A frame of segment 1 as it would be at another offset."""
    return _frames_put_right(frame[:32] + _CHECKSUM.pack(offset) + frame[40:])


def _cursors() -> list[bytes]:
    places = {"gateway-bulk": Place(3, 4_096), "api-fast": Place(1, 0, 5)}
    whole = encode_cursor(places)
    groups = [b"group-1\nheld", b"a_b\n" + whole, b"../x\nheld", b"g\n" + b"\0" * 4]
    bad = [b"{}", b"[" * 2_000, b'{"engine":"kafka/1","places":{}}', whole[:-3] + b"0}"]
    return [whole, *groups, *bad]


def _vehicles() -> list[bytes]:
    key = base64.urlsafe_b64encode(bytes(32)).decode()
    names = ("client_id", "username", "password", "publish_topic_prefix", "command_topic")
    file = {
        **dict.fromkeys(("vin", "token", "cert_file", "key_file", "ca_file"), "x"),
        "mqtt": dict.fromkeys(names, "y"),
        "command_public_keys": {"k": key},
        "servers": {"mqtt": {"host": "h", "port": 1}},
    }
    pems = dict.fromkeys(("cert_file", "key_file", "ca_file"), b"x")
    checked = [
        {**file, "checks": checks_of(file, pems)},
        {**file, "checks": checks_of(file, {**pems, "key_file": b"another"})},
        {**file, "checks": {"vehicle": 1}},
        {**file, "servers": {}},
    ]
    ready = {"mqtt": {"host": "h", "port": 1}, "telemetry": None}
    whole = [json.dumps(each).encode() for each in (file, ready, {}, *checked)]
    return [*whole, whole[0].replace(b"AAAA", b"", 1), b"[]", b"7", b"\xff", b"[" * 3_000, b"null"]


def _settings() -> list[bytes]:
    words = ["mqtt.keep_alive_s_max=60", "identity.server_names=a,b", "log.housekeeping_s=0.5"]
    words += ["no=1", "mqtt.no=1", "mqtt", "no.x=1", "mqtt.receive_max=-1", "api.streams_max=x"]
    words += ["log.housekeeping_s=nan", "log.housekeeping_s=inf", "mqtt.receive_max=" + "9" * 5_000]
    return [word.encode() for word in words]


def _manifests() -> list[bytes]:
    entry = manifest.FileEntry(name="a/b", bytes=1, sha256="x", mode=0o600)
    whole = manifest.Manifest(
        format=1,
        made_by="0",
        began_time_us=0,
        ended_time_us=1,
        lanes={"gateway-bulk": (1, 2)},
        notes=["note"],
        files=[entry],
    )
    packed = manifest.pack(whole)
    bad = [packed.replace(b"a/b", name) for name in (b"../b", b"/b", b"")]
    return [packed, *bad, packed.replace(b'"format": 1', b'"format": 2'), b"\n" + b"[" * 2_000]


_LOG = "motorcade.log"
TARGETS = (
    Target("log-frames", read_log, _frames, (f"{_LOG}.frame", f"{_LOG}.gather"), 1_000),
    Target("log-segment", read_segment, _segments, (f"{_LOG}.checking", f"{_LOG}.survey"), 2_000),
    Target("log-cursor", read_cursor, _cursors, (f"{_LOG}.cursors",)),
    Target("vehicle-file", read_vehicle, _vehicles, ("motorcade.vehicle.vehicle_file",), 1_000),
    Target("settings", read_settings, _settings, ("motorcade.config",), 100),
    Target("backup-manifest", read_manifest, _manifests, ("motorcade.backup.manifest",)),
)
