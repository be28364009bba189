"""History's own files, and recorded drives. What Arrow reads is Arrow's."""

import io
import struct
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import xxhash

from motorcade.history import index, manifest, runs
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.files import write_file
from motorcade.history.layout import TIME
from motorcade.simulation.drives import DrivesError, Recorded, parse_drives
from tests.faulty_files import FaultyFiles
from tests.fuzz.target import Target

NAME, HOME = "000000000001", Path("/history")


def read_history(data: bytes) -> None:
    """The first byte chooses the file; as it is, then with its sum put right."""
    kind, body = data[:1], data[1:]
    if kind == b"i":
        _read_index(body)
        _read_index(body[:-8] + struct.pack("<Q", xxhash.xxh3_64_intdigest(body[:-8])))
    elif kind == b"m":
        _read_manifest(body)
        summed = struct.pack("<Q", xxhash.xxh3_64_intdigest(body[24:]))
        _read_manifest(body[:16] + summed + body[24:])
    elif kind == b"g":
        for each in (body, xxhash.xxh3_64_digest(body[8:]) + body[8:]):
            with suppress(HistoryDamagedError):
                manifest.unpack_reading(each, NAME)
    else:
        head = runs.HEADER_BYTES - 8
        summed = struct.pack("<Q", xxhash.xxh3_64_intdigest(body[:head]))
        for each in (body, body[:head] + summed + body[head + 8 :]):
            with suppress(HistoryDamagedError):
                runs.check(each, NAME)


def _read_index(data: bytes) -> None:
    with suppress(HistoryDamagedError):
        found = index.unpack(data, NAME)
        assert index.pack(found)[32:-8] == data[32:-8]
        found.find(1, 2)
        found.groups(0, 1)


def _read_manifest(data: bytes) -> None:
    disk = FaultyFiles()
    disk.make_directory(HOME)
    assert manifest.load(disk, HOME).manifest == manifest.Manifest()
    write_file(disk, HOME / manifest.NAME, data)
    with suppress(HistoryDamagedError):
        loaded = manifest.load(disk, HOME)
        assert manifest.load(disk, HOME, loaded) is loaded
        for name in manifest.names_of(loaded.manifest):
            assert manifest.number_of(name) is not None or "-" in name


def read_recording(data: bytes) -> None:
    """Whatever is taken can be played."""
    with suppress(DrivesError):
        drives = parse_drives(io.BytesIO(data))
        assert (np.diff(drives.time_s) >= 0).all()
        assert (drives.first_s <= drives.last_s).all()
        assert len(drives.names) == drives.car.max() + 1
        world = Recorded(drives, 1)
        for _ in range(3):
            world.step()
            assert np.isfinite(world.positions()).all()
            assert np.isfinite(world.cars.energy_j).all()


def _files() -> list[bytes]:
    ones, rows = np.array([1, 5], np.uint64), np.array([0, 3, 4], np.int64)
    times, groups = np.array([10, 20], np.int64), np.array([0, 4], np.int64)
    boxes = np.array([index.EVERYWHERE, index.NOWHERE], np.int32)
    plain = index.Index(ones, ones, rows, times, times, groups, None)
    boxed = index.Index(ones, ones, rows, times, times, groups, boxes)
    summed = index.Index(ones, ones, rows, times, times, groups, boxes, ones)
    made = runs.RunsMaker(0.5)
    made.add(np.zeros(2, np.int64), pa.table({TIME: pa.array([1, 2])}))
    packed = made.pack()
    row = manifest.FileRow(1, 4, 100, 2, 10, 20, 0, 0.5)
    whole = manifest.Manifest([row], b"cursor", 2, 3, 4, [(1, 5)])
    reading = manifest.Reading(b"dedup", b"names")
    encode = msgspec.msgpack.encode
    head = struct.pack("<8sQQ", b"MCHIST\x00\x01", 1, 0)
    return [
        *(b"i" + index.pack(each) for each in (plain, boxed, summed)),
        b"m" + head + encode(whole),
        b"m" + head + encode(manifest.Manifest()),
        b"g" + bytes(8) + encode(reading),
        b"r" + packed,
        b"r" + packed[:-4],
        b"i",
    ]


def _recordings() -> list[bytes]:
    car = '<vehicle id="a" x="8.6" y="49.4" angle="90" speed="3"/>'
    other = car.replace('"a"', '"b"').replace("8.6", "1e1")
    steps = [
        f'<f><timestep time="0">{car}{other}</timestep><timestep time="1.5">{car}</timestep></f>',
        f'<f><timestep time="2">{car}</timestep><timestep time="1">{car}</timestep></f>',
        f'<timestep time="nan">{car}</timestep>',
        car,
        "<f><timestep/></f>",
        '<!DOCTYPE f [<!ENTITY a "b">]><f>&a;</f>',
        f'<timestep time="0">{car.replace("49.4", "91")}</timestep>',
        f'<timestep time="0">{car.replace("3", "-3")}</timestep>',
        f'<timestep time="0">{car.replace("speed", "fast")}</timestep>',
    ]
    return [step.encode() for step in steps]


_HISTORY = tuple(f"motorcade.history.{name}" for name in ("index", "manifest"))
TARGETS = (
    Target("history-files", read_history, _files, _HISTORY, 1_000),
    Target("drives", read_recording, _recordings, ("motorcade.simulation.drives",), 1_000),
)
