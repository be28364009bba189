"""Store and forward: what the car has to tell, in order, on disk until the cloud has it.

Records get a dense sequence in a stream whose random id is made with the buffer; (stream, sequence)
is what makes a record itself (design P2), so a resend is read once. A record may be sent only after
it was synced: otherwise, after a power failure, its sequence would be given to another record, and
readers would take that for a duplicate and drop it.

Files: segments named by their first sequence, each a run of frames, and `mark`, which says what was
acknowledged and dropped. What is broken at the end of the last segment is cut at opening, and its
sequence is left out: it may be a torn tail, or a record that was sent and is damaged now. A damaged
record before others is a hole. The mark is written unsynced: losing it only means sending again.
Beyond `bytes_max` the oldest segment goes first, and is counted.
"""

import contextlib
import zlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from struct import Struct
from typing import Final

from motorcade.events import Encoding, Topic
from motorcade.vehicle.disk import Disk
from motorcade.vehicle.errors import RecordTooLargeError

_FRAME: Final = Struct("<IIQBBxx")  # checksum of the rest, payload bytes, sequence, topic, encoding
_CHECKSUM_BYTES: Final = 4
_MARK: Final = Struct("<IQQ")  # checksum of the rest, acknowledged up to, dropped in all
_SEQUENCE_AT: Final = 8  # in a frame
# No car had so many records; from there it counts on, up to the cloud's largest, 2**63 - 1.
_MARKED_MAX: Final = 1 << 62
_HOLE_MAX: Final = 1_000  # records that damage is searched across
_MARKS_MAX: Final = 256  # appended to the mark's file before it is written anew
_TOPICS: Final = frozenset(Topic)
_ENCODINGS: Final = frozenset(Encoding)
_STREAM_FILE: Final = "stream"
_MARK_FILE: Final = "mark"
_SUFFIX: Final = ".records"
_SEGMENTS: Final = 8  # the buffer is dropped in eighths
STREAM_BYTES: Final = 12  # of entropy; 24 characters


@dataclass(frozen=True, slots=True)
class Stored:
    """A record on its way to the cloud."""

    sequence: int
    topic: Topic
    encoding: Encoding
    payload: bytes


class _Segment:
    """One file: where each of its records begins."""

    __slots__ = ("first", "name", "offsets", "size")

    def __init__(self, first: int) -> None:
        self.first = first
        self.name = f"{first:020d}{_SUFFIX}"
        self.offsets = array("Q")
        self.size = 0

    @property
    def next(self) -> int:
        """The sequence behind the last record."""
        return self.first + len(self.offsets)


class Buffer:
    """One car's backlog. Not thread-safe; one instance per disk."""

    def __init__(self, disk: Disk, *, bytes_max: int, entropy: Callable[[int], bytes]) -> None:
        """Open what is there, cutting a torn tail, or start a new stream.

        Raises:
            OSError: the disk cannot be read or written.
        """
        self._disk = disk
        self._bytes_max = bytes_max
        self._segment_bytes = max(bytes_max // _SEGMENTS, 1)
        self._unsure = False  # whether the last segment's file may be longer than we know
        self.damage: list[str] = []  # what was found at opening, with the files' names
        self.stream = self._open_stream(entropy)
        self.acked, self.dropped, self._marks = self._read_mark()
        self.torn_bytes = 0  # found at opening and cut off
        self._segments = self._open_segments()
        self._synced = self.next_sequence

    @property
    def next_sequence(self) -> int:
        """The sequence of the next record; the first ever is 1."""
        return self._segments[-1].next

    @property
    def backlog_bytes(self) -> int:
        """Bytes of the records that are not acknowledged."""
        first = self._segments[0]
        acked = min(max(self.acked + 1 - first.first, 0), len(first.offsets))
        gone = first.offsets[acked] if acked < len(first.offsets) else first.size
        return sum(segment.size for segment in self._segments) - gone

    @property
    def backlog_records(self) -> int:
        """Records not acknowledged."""
        return self.next_sequence - max(self.acked + 1, self._segments[0].first)

    def append(self, topic: Topic, encoding: Encoding, payload: bytes) -> int:
        """Add a record, dropping the oldest segment when full; return its sequence.

        It may be read, and sent, after the next `sync`.

        Raises:
            RecordTooLargeError: longer than an eighth of the buffer.
            OSError: the disk failed; the record was not taken.
        """
        size = _FRAME.size + len(payload)
        if size > self._segment_bytes:
            raise RecordTooLargeError(
                f"record of {size} bytes, the buffer takes {self._segment_bytes}: send it in parts"
            )
        if self._unsure:
            self._cut()
        segment = self._segments[-1]
        if segment.size + size > self._segment_bytes and segment.size:
            segment = self._start_segment()
        sequence = segment.next
        try:
            self._disk.append(segment.name, _frame(sequence, topic, encoding, payload))
        except OSError:
            self._take_back(sequence)
            raise
        segment.offsets.append(segment.size)
        segment.size += size
        return sequence

    def sync(self) -> None:
        """Return when every appended record is on disk.

        Raises:
            OSError: none of those since the last `sync` was taken. Another sync could not mend it:
                the kernel forgets that the bytes are not on disk.
        """
        if self._synced != self.next_sequence:
            try:
                self._disk.sync(self._segments[-1].name)
            except OSError:
                self._take_back(self._synced)
                raise
            self._synced = self.next_sequence

    def _take_back(self, first: int) -> None:
        """Forget the records from `first` on, of which some bytes may be in the last segment."""
        segment = self._segments[-1]
        kept = first - segment.first
        if kept < len(segment.offsets):
            segment.size = segment.offsets[kept]
            del segment.offsets[kept:]
        self._unsure = True
        with contextlib.suppress(OSError):
            self._cut()

    def _cut(self) -> None:
        """What is behind the last record must not stand before the next one."""
        segment = self._segments[-1]
        self._disk.truncate(segment.name, segment.size)
        self._unsure = False

    def read(self, sequence: int) -> Stored | None:
        """The first synced record from `sequence` on; `None` when there is none.

        Records that were dropped, acknowledged or damaged are skipped.
        """
        sequence = max(sequence, self.acked + 1)
        for segment in self._segments:
            sequence = max(sequence, segment.first)
            while sequence < min(segment.next, self._synced):
                found = self._read_at(segment, sequence)
                if found is not None:
                    return found
                sequence += 1
        return None

    def acknowledge(self, sequence: int) -> None:
        """Everything up to `sequence` is stored in the cloud: forget it."""
        if sequence <= self.acked:
            return
        self.acked = min(sequence, self.next_sequence - 1)
        self._write_mark()
        while len(self._segments) > 1 and self._segments[0].next <= self.acked + 1:
            self._disk.remove(self._segments.pop(0).name)

    def _start_segment(self) -> _Segment:
        self.sync()
        while len(self._segments) >= _SEGMENTS:
            self._drop_oldest()
        segment = _Segment(self.next_sequence)
        self._disk.append(segment.name, b"")
        self._disk.sync(segment.name)  # its name keeps the sequence once the older ones are gone
        self._segments.append(segment)
        return segment

    def _drop_oldest(self) -> None:
        oldest = self._segments.pop(0)
        lost = max(oldest.next - max(self.acked + 1, oldest.first), 0)
        if lost:
            self.dropped += lost
            self._write_mark()
        self._disk.remove(oldest.name)

    def _read_at(self, segment: _Segment, sequence: int) -> Stored | None:
        index = sequence - segment.first
        start = segment.offsets[index]
        end = segment.offsets[index + 1] if index + 1 < len(segment.offsets) else segment.size
        found = _parse(self._disk.read(segment.name, start, end - start), 0)
        return found if found is not None and found.sequence == sequence else None

    def _open_stream(self, entropy: Callable[[int], bytes]) -> str:
        stored = self._disk.read(_STREAM_FILE)
        name = stored[: 2 * STREAM_BYTES]
        if stored and stored == _stream_line(name):
            return name.decode("ascii")
        if stored:
            self.damage.append(
                f"{self._disk.where(_STREAM_FILE)} is damaged: the records go on in a new stream, "
                "and those that the cloud had not acknowledged may be read twice"
            )
        stream = entropy(STREAM_BYTES).hex()
        self._disk.replace(_STREAM_FILE, _stream_line(stream.encode("ascii")))
        return stream

    def _read_mark(self) -> tuple[int, int, int]:
        """(acknowledged, dropped, marks in the file): the last whole mark counts."""
        data = self._disk.read(_MARK_FILE)
        whole = len(data) - len(data) % _MARK.size
        for offset in range(whole - _MARK.size, -1, -_MARK.size):
            checksum, acked, dropped = _MARK.unpack_from(data, offset)
            sound = checksum == zlib.crc32(data[offset + _CHECKSUM_BYTES : offset + _MARK.size])
            if sound and max(acked, dropped) < _MARKED_MAX:
                return acked, dropped, _MARKS_MAX if whole != len(data) else whole // _MARK.size
        return 0, 0, _MARKS_MAX if data else 0

    def _write_mark(self) -> None:
        """Best effort: on a full disk, removing what was acknowledged is what makes room."""
        rest = _MARK.pack(0, self.acked, self.dropped)[_CHECKSUM_BYTES:]
        mark = zlib.crc32(rest).to_bytes(_CHECKSUM_BYTES, "little") + rest
        anew = self._marks >= _MARKS_MAX
        self._marks = _MARKS_MAX  # half a mark may be there, if what follows fails
        with contextlib.suppress(OSError):
            if anew:
                self._disk.replace(_MARK_FILE, mark)
                self._marks = 1
            else:
                marks = self._disk.size(_MARK_FILE) // _MARK.size
                self._disk.append(_MARK_FILE, mark)
                self._marks = marks + 1

    def _open_segments(self) -> list[_Segment]:
        firsts = sorted(
            int(name.removesuffix(_SUFFIX)) for name in self._disk.names() if name.endswith(_SUFFIX)
        )
        segments = [self._scan(first) for first in firsts]
        if not segments:
            # The mark may be lost while its segment was not, never the other way round: an empty
            # directory is a new buffer.
            segments = [_Segment(self.acked + 1)]
            self._disk.append(segments[0].name, b"")
            self._disk.sync(segments[0].name)
        for segment, later in pairwise(segments):
            if segment.next < later.first and self._disk.size(segment.name) > segment.size:
                self._note_damage(segment, (self._disk.size(segment.name), later.first))
        last = segments[-1]
        content = self._disk.read(last.name)
        self.torn_bytes = len(content) - last.size
        if content:
            # Anew, because it may be in the cache alone: the program before may have died of a sync
            # that failed.
            self._disk.replace(last.name, content[: last.size])
        if self.torn_bytes or self.acked >= last.next:
            segments.append(_Segment(max(last.next, self.acked) + 1))
            self._disk.append(segments[-1].name, b"")
        self._disk.sync(segments[-1].name)
        return segments

    def _scan(self, first: int) -> _Segment:
        """Find the records of a segment. Damage is a hole up to the next whole one, if any is."""
        segment = _Segment(first)
        data = self._disk.read(segment.name)
        while segment.size < len(data):
            found = _parse(data, segment.size)
            if found is not None and found.sequence == segment.next:
                segment.offsets.append(segment.size)
                segment.size += _FRAME.size + len(found.payload)
                continue
            following = _find(data, segment.size, segment.next)
            if following is None:
                break
            self._note_damage(segment, following)
        return segment

    def _note_damage(self, segment: _Segment, following: tuple[int, int]) -> None:
        """Reading what lies between here and the record that follows finds nothing whole."""
        at, sequence = following
        self.damage.append(
            f"{self._disk.where(segment.name)}: records {segment.next} to {sequence - 1} are "
            f"damaged, bytes {segment.size} to {at}: they are left out"
        )
        segment.offsets.extend([segment.size] * (sequence - segment.next))
        segment.size = at


def _frame(sequence: int, topic: Topic, encoding: Encoding, payload: bytes) -> bytes:
    rest = _FRAME.pack(0, len(payload), sequence, topic, encoding)[_CHECKSUM_BYTES:]
    checksum = zlib.crc32(payload, zlib.crc32(rest))
    return checksum.to_bytes(_CHECKSUM_BYTES, "little") + rest + payload


def _stream_line(name: bytes) -> bytes:
    return b"%s %08x\n" % (name, zlib.crc32(name))


def _find(data: bytes, start: int, sequence: int) -> tuple[int, int] | None:
    """Where the first whole frame behind damage begins, and its sequence."""
    for later in range(sequence + 1, sequence + _HOLE_MAX):
        pattern = later.to_bytes(8, "little")
        at = data.find(pattern, start)
        while at >= 0:
            offset = at - _SEQUENCE_AT
            found = _parse(data, offset) if offset >= start else None
            if found is not None and found.sequence == later:
                return offset, later
            at = data.find(pattern, at + 1)
    return None


def _parse(data: bytes, offset: int) -> Stored | None:
    """The frame at `offset`, `None` if it is cut short, damaged or of another version."""
    if len(data) - offset < _FRAME.size:
        return None
    checksum, size, sequence, topic, encoding = _FRAME.unpack_from(data, offset)
    end = offset + _FRAME.size + size
    if end > len(data) or checksum != zlib.crc32(data[offset + _CHECKSUM_BYTES : end]):
        return None
    if topic not in _TOPICS or encoding not in _ENCODINGS:
        return None
    return Stored(sequence, Topic(topic), Encoding(encoding), data[offset + _FRAME.size : end])
