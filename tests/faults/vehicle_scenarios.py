"""The car's journal and buffer under faults, on `DirectoryDisk`, as the agent uses them."""

from typing import Final

from motorcade.events import Encoding, Topic
from motorcade.vehicle.buffer import Buffer
from motorcade.vehicle.disk import DirectoryDisk
from motorcade.vehicle.journal import Journal
from motorcade.wire.command.messages import JournalState
from tests.faults.world import World


class OnJournal:
    """A command may be carried out once `started` is written; then it must never be forgotten.
    `executed` is there for good after the next sync, or the next write that returns."""

    name = "car: journal"
    commands_max = 100

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal: Journal | None = None
        self.written: dict[int, str] = {}  # command number: the last state that is on disk
        self.ended: set[int] = set()  # numbers whose end is written, and perhaps not on disk
        self.next = 1

    def prepare(self) -> None:
        self.live(2)

    def act(self) -> None:
        self.live(3)

    def go_on(self) -> None:
        before = len(self.written)
        self.live(1)
        assert len(self.written) == before + 1, "the journal takes nothing after the fault"

    def check(self) -> None:
        self.journal = None
        self.ended.clear()
        journal = self.opened()
        assert journal is not None, "the journal does not open"
        for number, state in self.written.items():
            assert journal.counter_used(number), f"counter {number} could be used again"
            if number <= self.next - self.commands_max // 2:
                continue  # may be forgotten
            entry = journal.find(f"c{number}")
            assert entry is not None, f"command {number} is forgotten: {state}"
            assert state == "started" or entry.state == state, f"command {number}: {entry.state}"
        assert not journal.counter_used(self.next + 1), "a new command would be refused"
        self.go_on()

    def live(self, commands: int) -> None:
        for _ in range(commands):
            number, self.next = self.next, self.next + 1
            if self.write(number, "started"):
                self.written |= {number: "started"} | dict.fromkeys(self.ended, "executed")
                self.ended.clear()
                if self.write(number, "executed"):
                    self.ended.add(number)
                    if number % 2:  # else the next write has it on disk
                        self.sync()

    def write(self, number: int, state: JournalState) -> bool:
        journal = self.opened()
        if journal is None:
            return False
        try:
            journal.write(f"c{number}", state, reason="", time_us=number, counter=number)
        except OSError as error:
            self.world.check_named(error)
            return False
        return True

    def sync(self) -> None:
        journal = self.opened()
        if journal is None:
            return
        try:
            journal.sync()
        except OSError as error:
            self.world.check_named(error)
            return
        self.written |= dict.fromkeys(self.ended, "executed")
        self.ended.clear()

    def opened(self) -> Journal | None:
        if self.journal is None:
            with self.world.named_errors():
                disk = DirectoryDisk(self.world.root / "journal")
                self.journal = Journal(
                    disk, commands_max=self.commands_max, responses_bytes_max=1_000
                )
        return self.journal


class FirstJournal(OnJournal):
    name = "car: journal, first start"

    def prepare(self) -> None:
        pass


class CompactedJournal(OnJournal):
    name = "car: journal, compacted"
    commands_max = 6

    def prepare(self) -> None:
        self.live(5)


class RestartedJournal(OnJournal):
    name = "car: journal, restart"

    def act(self) -> None:
        for _ in range(2):
            self.journal = None
            self.ended.clear()
            self.live(1)


class OnBuffer:
    """What `store` returned for is sent sometime; a sequence never means two records."""

    name = "car: buffer"
    bytes_max = 1 << 20

    def __init__(self, world: World) -> None:
        self.world = world
        self.buffer: Buffer | None = None
        self.next = 0
        self.stored: list[bytes] = []
        self.cloud: dict[tuple[str, int], bytes] = {}  # what was ever sent
        self.done: set[bytes] = set()  # acknowledged by the cloud

    def prepare(self) -> None:
        self.store(2)

    def act(self) -> None:
        self.store(2)
        self.send(acknowledged=2)
        self.store(2)

    def go_on(self) -> None:
        before = len(self.stored)
        self.store(1)
        assert len(self.stored) == before + 1, "the buffer takes nothing after the fault"

    def check(self) -> None:
        self.buffer = None
        self.send()
        sent = set(self.cloud.values())
        lost = [payload for payload in self.must_be_there() if payload not in sent]
        assert not lost, f"stored and never sent: {lost}"
        self.go_on()
        self.send()
        assert self.stored[-1] in self.cloud.values(), "stored after the restart and never sent"

    def must_be_there(self) -> list[bytes]:
        return [payload for payload in self.stored if payload not in self.done]

    def store(self, records: int) -> None:
        for _ in range(records):
            payload, self.next = b"record %d" % self.next, self.next + 1
            buffer = self.opened()
            if buffer is None:
                continue
            try:
                buffer.append(Topic.TELEMETRY, Encoding.JSON_SIGNALS, payload)
                buffer.sync()
            except OSError as error:
                self.world.check_named(error)
                continue
            self.stored.append(payload)

    def send(self, acknowledged: int = 0) -> None:
        """Send all there is; the cloud has it at once, the car hears of some of it."""
        buffer = self.opened()
        if buffer is None:
            return
        heard = []
        at = 0
        with self.world.named_errors():
            while (record := buffer.read(at)) is not None:
                known = self.cloud.setdefault((buffer.stream, record.sequence), record.payload)
                assert known == record.payload, f"sequence {record.sequence} means two records"
                heard.append((record.sequence, record.payload))
                at = record.sequence + 1
        for sequence, payload in heard[:acknowledged]:
            self.done.add(payload)
            with self.world.named_errors():
                buffer.acknowledge(sequence)

    def opened(self) -> Buffer | None:
        if self.buffer is None:
            with self.world.named_errors():
                disk = DirectoryDisk(self.world.root / "buffer")
                self.buffer = Buffer(disk, bytes_max=self.bytes_max, entropy=self.entropy)
        return self.buffer

    def entropy(self, size: int) -> bytes:
        return (self.next + 1).to_bytes(2, "big") * (size // 2)


class FirstBuffer(OnBuffer):
    name = "car: buffer, first start"

    def prepare(self) -> None:
        pass


class SegmentedBuffer(OnBuffer):
    """Small segments: they come and go while records are stored and acknowledged."""

    name = "car: buffer, new segments"
    bytes_max = 8 * 70

    def act(self) -> None:
        for _ in range(2):
            self.store(3)
            self.send(acknowledged=3)


class FullBuffer(OnBuffer):
    """The oldest segment goes when the buffer is full, and is counted."""

    name = "car: buffer, full"
    bytes_max = 8 * 70

    def prepare(self) -> None:
        self.store(15)

    def act(self) -> None:
        self.store(4)

    def must_be_there(self) -> list[bytes]:
        return self.stored[-12:]


class RestartedBuffer(OnBuffer):
    name = "car: buffer, restart"

    def act(self) -> None:
        for _ in range(2):
            self.buffer = None
            self.store(1)
            self.send(acknowledged=1)


ALL: Final = (
    FirstJournal,
    OnJournal,
    CompactedJournal,
    RestartedJournal,
    FirstBuffer,
    OnBuffer,
    SegmentedBuffer,
    FullBuffer,
    RestartedBuffer,
)
