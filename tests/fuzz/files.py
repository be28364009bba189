"""What is read from disk and from the command line: log, cursors, vehicle.json, settings, backups.

A checksum would hide all behind it from a fuzzer, so it is put right first: the reader must also
stand what another version, or somebody else, wrote with a right one.
"""

import base64
import contextlib
import dataclasses
import hashlib
import json
import math
import os
import tempfile
from pathlib import Path
from struct import Struct

import numpy as np
import xxhash

from motorcade.backup import manifest
from motorcade.backup.errors import BackupError
from motorcade.config import Config, ConfigError
from motorcade.log.checking import check_segment
from motorcade.log.cursors import Place, decode_cursor, encode_cursor
from motorcade.log.errors import CursorError
from motorcade.log.files import OsFiles
from motorcade.log.frame import HEADER_BYTES, find_frame, scan_frames
from motorcade.log.segment import segment_path
from motorcade.vehicle.errors import VehicleFileError
from motorcade.vehicle.vehicle_file import read_ready_file, read_vehicle_file
from tests.fuzz.target import Target
from tests.log.lanes import LaneOnDisk, batch, group

_FRAME = Struct("<IIQQQQ")  # magic, version, checksum, total bytes, segment, offset
_BLOCK = Struct("<IIQQ")


def read_log(data: bytes) -> None:
    """Frames, as they are and with their first checksum put right; then a whole segment."""
    for each in (data, _frame_put_right(data)):
        held = np.frombuffer(bytearray(each) + bytearray(8), np.uint8)[: len(each)]
        scan = scan_frames(held, 1, 0)
        assert 0 <= scan.used <= len(each)
        assert all(frame.start + frame.total_bytes <= len(each) for frame in scan.frames)
        found = find_frame(held, 1, 0)
        assert found is None or found + HEADER_BYTES <= len(each)


def read_segment(data: bytes) -> None:
    for each in (data, _block_put_right(data)):
        held = np.frombuffer(bytearray(each) + bytearray(8), np.uint8)[: len(each)]
        for end in (None, len(each), len(each) // 2, 2 * len(each)):
            checked = check_segment(held, 1, end)
            assert checked.records >= 0


def _frame_put_right(data: bytes) -> bytes:
    if len(data) < HEADER_BYTES:
        return data
    magic, version, _, total, segment, offset = _FRAME.unpack_from(data)
    if not _FRAME.size <= total <= len(data):
        return data
    digest = xxhash.xxh3_64_intdigest(data[16:total])
    return _FRAME.pack(magic, version, digest, total, segment, offset) + data[_FRAME.size :]


def _block_put_right(data: bytes) -> bytes:
    if len(data) < _BLOCK.size:
        return data
    magic, version, _, size = _BLOCK.unpack_from(data)
    body = data[_BLOCK.size : _BLOCK.size + size]
    return _BLOCK.pack(magic, version, xxhash.xxh3_64_intdigest(body), size) + data[_BLOCK.size :]


def read_cursor(data: bytes) -> None:
    try:
        places = decode_cursor(data)  # type: ignore[arg-type]
    except CursorError:
        return
    assert decode_cursor(encode_cursor(places)) == places


def read_vehicle(data: bytes) -> None:
    """`vehicle.json` and the ready file."""
    path = Path(tempfile.gettempdir()) / f"motorcade-fuzz-{os.getpid()}.json"
    path.write_bytes(data)
    for read in (read_vehicle_file, read_ready_file):
        with contextlib.suppress(VehicleFileError):
            read(path)
    path.unlink()


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
        active = segment_path(lane.directory, 1).read_bytes()
        lane.close(appender)
        sealed = segment_path(lane.directory, 1).read_bytes()
    return [active[: len(sealed)], sealed, sealed[:-1], sealed[:200], sealed[-200:]]


def _frames() -> list[bytes]:
    sealed = _segments()[1]
    first = sealed.find(b"RFCM")
    # As if they were the first of the file, so that offsets fit.
    return [_frame_put_right(sealed[first : first + 40] + bytes(8) + sealed[first + 48 :]), sealed]


def _cursors() -> list[bytes]:
    places = {"gateway-bulk": Place(3, 4_096), "api-fast": Place(1, 0, 5)}
    return [encode_cursor(places), b"{}", b"[" * 2_000, b'{"engine":"kafka/1","places":{}}']


def _vehicles() -> list[bytes]:
    key = base64.urlsafe_b64encode(bytes(32)).decode()
    names = ("client_id", "username", "password", "publish_topic_prefix", "command_topic")
    file = {
        **dict.fromkeys(("vin", "token", "cert_file", "key_file", "ca_file"), "x"),
        "mqtt": dict.fromkeys(names, "y"),
        "command_public_keys": {"k": key},
        "servers": {"mqtt": {"host": "h", "port": 1}},
    }
    ready = {"mqtt": {"host": "h", "port": 1}, "telemetry": None}
    whole = [json.dumps(each).encode() for each in (file, ready)]
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
    Target("log-frames", read_log, _frames, (f"{_LOG}.frame",), 1_000),
    Target("log-segment", read_segment, _segments, (f"{_LOG}.checking", f"{_LOG}.survey"), 2_000),
    Target("log-cursor", read_cursor, _cursors, (f"{_LOG}.cursors",)),
    Target("vehicle-file", read_vehicle, _vehicles, ("motorcade.vehicle.vehicle_file",), 1_000),
    Target("settings", read_settings, _settings, ("motorcade.config",), 100),
    Target("backup-manifest", read_manifest, _manifests, ("motorcade.backup.manifest",)),
)
