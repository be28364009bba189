"""What became of each command, on disk: written and synced before it is carried out.

So a command is carried out at most once, whatever the power does (design P5): after a crash an id
is either absent (never begun) or at least `started` (never begun again). That it was carried out is
written at once and synced with what comes next, so that the answer does not wait for a second sync:
`started` rules out the repetition already. `unknown` is a tombstone:
the cloud asked for an id that never came, was told so, and it will never be carried out.

The file holds JSON lines with a checksum; a torn tail is cut at opening. Lines that were damaged at
rest are told, and as many counters more than the file shows count as used, so that what they held
is not carried out a second time. Beyond `commands_max`
entries the oldest are forgotten, and the greatest counter among them becomes the floor below which
every command counts as replayed, so forgetting never allows a repetition. (A forgotten tombstone
is safe too: commands live 300 s at most, and 10,000 entries are more than that.)

Responses of signed commands have a budget of their own in bytes: over it the oldest are blanked,
and what became of their commands stays. Whoever asks again hears that outcome without the response.
"""

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from motorcade.vehicle.checked import read_checked, write_checked
from motorcade.vehicle.disk import Disk
from motorcade.wire.command.messages import Counter, JournalEntry, JournalState

_FILE: Final = "journal"
_FINAL: Final = frozenset({"executed", "refused", "expired", "unknown"})


class _Floor(msgspec.Struct, frozen=True, tag="floor", tag_field="kind"):
    """The first line of a compacted file."""

    counter: Counter


class _Line(msgspec.Struct, frozen=True, tag="entry", tag_field="kind"):
    entry: JournalEntry


_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[_Floor | _Line]] = msgspec.json.Decoder(_Floor | _Line)


class Journal:
    """One car's journal of commands. Writing returns when it is synced, but for an "executed"."""

    def __init__(self, disk: Disk, *, commands_max: int, responses_bytes_max: int) -> None:
        """Open, cutting a torn tail. Raises `OSError`."""
        self._disk = disk
        self._commands_max = commands_max
        self._responses_bytes_max = responses_bytes_max
        self._responding: deque[str] = deque()  # ids whose responses are kept, the oldest first
        self._responses_bytes = 0  # of those
        self._written_bytes = 0  # of responses in the file, the blanked ones included
        self._entries: dict[str, JournalEntry] = {}
        self._counters: set[int] = set()
        self._floor = 0
        self._lines = 0
        self._size = 0  # bytes of the file that hold whole, synced lines
        self._unsynced = False
        self._unsure = False  # whether more may be there than that
        self._stale = False  # whether the file may be the one before or after a compaction
        self.damage = ""  # what was found at opening, with the file's name
        self._load()

    def find(self, command_id: str) -> JournalEntry | None:
        """What is known of an id."""
        return self._entries.get(command_id)

    def counter_used(self, counter: int) -> bool:
        """Whether another command had this counter, or may have had it."""
        return counter <= self._floor or counter in self._counters

    def __iter__(self) -> Iterator[JournalEntry]:
        """Every entry that is not forgotten, the oldest first."""
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def write(
        self,
        command_id: str,
        state: JournalState,
        *,
        reason: str,
        time_us: int,
        counter: int,
        response: str = "",
    ) -> JournalEntry:
        """Record a state and sync. A final state stays; "started" may be followed by one.

        "executed" is not synced: see `sync`.

        Raises:
            OSError: not on disk; nothing may be carried out on the strength of it.
        """
        known = self._entries.get(command_id)
        assert known is None or known.state not in _FINAL  # decide() answers those from the journal
        entry = JournalEntry(
            id=command_id,
            state=state,
            reason=reason,
            time_us=time_us,
            counter=counter,
            response=response,
        )
        full = len(self._entries) >= self._commands_max or self._lines >= 3 * self._commands_max
        if full or self._stale:
            self._compact()
        elif self._written_bytes > 2 * self._responses_bytes_max:
            self._rewrite()
        self._append(entry)
        self._take(entry)
        return entry

    def sync(self) -> None:
        """Have all of it on disk. Raises `OSError`."""
        if not self._unsynced:
            return
        try:
            self._disk.sync(_FILE)
        except OSError:
            self._stale = True  # written anew by the next write: the cache is not to be trusted
            raise
        self._unsynced = False

    def _append(self, entry: JournalEntry) -> None:
        if self._unsure:
            self._cut()
        line = _write_line(_Line(entry))
        try:
            self._disk.append(_FILE, line)
            if entry.state == "executed":
                self._unsynced = True
            else:
                self._disk.sync(_FILE)
                self._unsynced = False
        except OSError:
            self._unsure = True
            self._stale |= self._unsynced
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self._size += len(line)
        self._lines += 1
        self._written_bytes += len(entry.response)

    def _cut(self) -> None:
        """Half a line, or one that may not be on disk, must not stand before the next one."""
        self._disk.truncate(_FILE, self._size)
        self._unsure = False

    def _take(self, entry: JournalEntry) -> None:
        known = self._entries.get(entry.id)
        if known is not None and known.response:  # in a file that we did not write
            self._responding.remove(entry.id)
            self._responses_bytes -= len(known.response)
        self._entries[entry.id] = entry
        if entry.counter:
            self._counters.add(entry.counter)
        if entry.response:
            self._responding.append(entry.id)
            self._responses_bytes += len(entry.response)
        while self._responses_bytes > self._responses_bytes_max and len(self._responding) > 1:
            self._blank_oldest()

    def _blank_oldest(self) -> None:
        entry = self._entries[self._responding.popleft()]
        self._responses_bytes -= len(entry.response)
        self._entries[entry.id] = msgspec.structs.replace(entry, response="")

    def _compact(self) -> None:
        """Forget the oldest half, but those whose outcome is still open."""
        ids = list(self._entries)
        for command_id in ids[: max(len(ids) - self._commands_max // 2, 0)]:
            if self._entries[command_id].state == "started" and len(ids) < 2 * self._commands_max:
                continue
            forgotten = self._entries.pop(command_id)
            self._responses_bytes -= len(forgotten.response)
            self._counters.discard(forgotten.counter)
            self._floor = max(self._floor, forgotten.counter)
        self._responding = deque(name for name in self._responding if name in self._entries)
        self._rewrite()

    def _rewrite(self) -> None:
        lines = [_write_line(_Floor(self._floor))]
        lines += [_write_line(_Line(entry)) for entry in self._entries.values()]
        data = b"".join(lines)
        self._stale = True
        self._disk.replace(_FILE, data)
        self._stale = self._unsure = self._unsynced = False
        self._lines, self._size = len(lines), len(data)
        self._written_bytes = self._responses_bytes

    def _load(self) -> None:
        data = self._disk.read(_FILE)
        *lines, torn = data.split(b"\n")
        whole = next((line for line in (torn, torn[:-1]) if _read_line(line)), None)
        if whole is not None:  # all but the line's end, which may be damaged
            lines.append(whole)
        elif torn:
            self.damage = f"{self._disk.where(_FILE)}: {len(torn)} bytes of a torn line are cut"
        damaged = 0
        for line in lines:
            read = _read_line(line)
            if read is None:
                damaged += 1
            elif isinstance(read, _Floor):
                self._floor = max(self._floor, read.counter)
            else:
                self._take(read.entry)
        if damaged:
            self._floor = max(self._floor, *self._counters, 0) + damaged
            self.damage += (
                f"{self._disk.where(_FILE)}: {damaged} damaged lines are left out, and counters up "
                f"to {self._floor} count as used: commands that were given then are refused"
            )
        if data:
            # Anew, because it may be in the cache alone: the program before may have died of a sync
            # that failed.
            self._rewrite()


def _write_line(line: _Floor | _Line) -> bytes:
    return write_checked(_encoder.encode(line))


def _read_line(line: bytes) -> _Floor | _Line | None:
    """The line's content; `None` if it is damaged."""
    text = read_checked(line)
    try:
        return None if text is None else _decoder.decode(text)
    except (ValueError, RecursionError):  # another version's, or damage that fits its checksum
        return None
