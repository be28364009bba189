"""What goes up next: answers to commands before everything else (P6), then the buffer, in order.

A link takes with `next` and reports with `done`. `rewind` puts everything not done back in line,
for links that forget what was in flight when a connection ends.

What is not done goes up again in each connection, so it must not grow with their number: an answer
that is under way is not queued again, and a hello is for one connection.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from motorcade.events import Encoding, Topic
from motorcade.vehicle.buffer import Buffer

ANSWERS_MAX: Final = 1_000  # older ones are dropped: the cloud asks the journal when it misses one


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record with what makes it itself."""

    topic: Topic
    encoding: Encoding
    payload: bytes
    stream: str  # "": it has no identity
    sequence: int
    qos: int = 1  # 0: worth nothing beyond this connection; nobody is told when it is done


class Outbox:
    """Joins the answers of this run with the stored records."""

    def __init__(self, buffer: Buffer, answer_stream: str) -> None:
        """`answer_stream` is random per run: answers live in memory, so they count from 1."""
        self._buffer = buffer
        self._answer_stream = answer_stream
        self._answers: deque[Outgoing] = deque(maxlen=ANSWERS_MAX)
        self._answers_taken: dict[int, Outgoing] = {}
        self._hello: Outgoing | None = None
        self._answer_sequence = 0
        self._cursor = buffer.acked + 1
        self._done_ahead: set[int] = set()
        self._listener: Callable[[], None] = _nobody
        self.refused = 0  # records the server will never take

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever there is something new to take."""
        self._listener = listener

    def answer(self, payload: bytes) -> None:
        """Queue an answer to a command, before all telemetry, unless it is under way already."""
        if self._under_way(payload):
            return
        self._answer_sequence += 1
        self._answers.append(
            Outgoing(
                Topic.COMMAND_ANSWERS,
                Encoding.COMMAND,
                payload,
                self._answer_stream,
                self._answer_sequence,
            )
        )
        self._listener()

    def hello(self, payload: bytes) -> None:
        """Say hello in this connection, before all else; one not yet sent is forgotten."""
        self._hello = Outgoing(Topic.COMMAND_ANSWERS, Encoding.COMMAND, payload, "", 0, qos=0)
        self._listener()

    @property
    def hello_waits(self) -> bool:
        """Whether `next` is a hello."""
        return self._hello is not None

    def store(self, topic: Topic, encoding: Encoding, payload: bytes) -> None:
        """Store a record durably and queue it. Raises `OSError`, `RecordTooLargeError`."""
        self._buffer.append(topic, encoding, payload)
        self._buffer.sync()
        self._listener()

    def next(self) -> Outgoing | None:
        """Take the next record, `None` when there is none."""
        if self._hello is not None:
            hello, self._hello = self._hello, None
            return hello
        if self._answers:
            answer = self._answers.popleft()
            self._answers_taken[answer.sequence] = answer
            return answer
        stored = self._buffer.read(self._cursor)
        if stored is None:
            return None
        self._cursor = stored.sequence + 1
        return Outgoing(
            stored.topic, stored.encoding, stored.payload, self._buffer.stream, stored.sequence
        )

    def done(self, outgoing: Outgoing, *, refused: bool = False) -> None:
        """The cloud has it durably, or will never take it. In any order."""
        self.refused += refused
        if outgoing.qos == 0:
            return
        if outgoing.stream == self._answer_stream:
            self._answers_taken.pop(outgoing.sequence, None)
            return
        self._done_ahead.add(outgoing.sequence)
        upto = self._buffer.acked
        while True:
            # Only what was taken is waited for: dropped and damaged records leave holes.
            following = self._buffer.read(upto + 1)
            if following is None or following.sequence not in self._done_ahead:
                break
            upto = following.sequence
            self._done_ahead.discard(upto)
        if upto != self._buffer.acked:
            self._buffer.acknowledge(upto)
        self._done_ahead = {sequence for sequence in self._done_ahead if sequence > upto}

    def _under_way(self, payload: bytes) -> bool:
        taken = any(answer.payload == payload for answer in self._answers_taken.values())
        return taken or any(answer.payload == payload for answer in self._answers)

    def rewind(self) -> None:
        """Put what was taken and is not done back in line."""
        self._answers.extendleft(reversed(self._answers_taken.values()))
        self._answers_taken.clear()
        self._done_ahead.clear()
        self._cursor = self._buffer.acked + 1


def _nobody() -> None:
    """Before a link listens."""
