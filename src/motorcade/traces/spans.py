"""Spans of commands and records. No IO, no library: what a trace is, and how it gets its ids.

No context travels on any wire. A command's id is 128 bits in hex: it is the trace's id, in every
process and in the vehicle's journal. A record's trace is named by its place in the log, which the
gateway knows at the commit and every reader knows from the record; whoever sees position p of a
(writer, topic, partition) knows by `p % every` whether it is sampled.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import xxhash

from motorcade.commands.states import FINAL
from motorcade.events import Record, RecordBatch, Topic
from motorcade.wire.command.answers import read_up
from motorcade.wire.command.errors import CommandCodecError
from motorcade.wire.command.messages import Answer
from motorcade.wire.command.records import HANDED_OVER, TRANSITION, Transition, read_transition

OPEN_MAX: Final = 10_000  # commands whose end is awaited; beyond, the oldest are not traced
ROOT: Final = "root"
VEHICLE: Final = "vehicle"  # from the notice that it was handed over to the answer's arrival


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of a trace, with its ids already drawn."""

    trace_id: int
    name: str
    start_us: int
    end_us: int
    is_root: bool = False
    parent: str = ROOT  # the name of the span of this trace that it is a part of
    error: str = ""  # why it did not go well
    attributes: dict[str, str | int] = field(default_factory=dict)

    @property
    def span_id(self) -> int:
        """The same in whichever process makes it, so that parents are found without a word."""
        return span_id(self.trace_id, ROOT if self.is_root else self.name)

    @property
    def parent_id(self) -> int | None:
        return None if self.is_root else span_id(self.trace_id, self.parent)


def span_id(trace_id: int, name: str) -> int:
    """64 bits, never 0."""
    return xxhash.xxh3_64_intdigest(f"{trace_id:032x} {name}".encode()) or 1


def command_trace(command_id: str) -> int | None:
    """The trace of a command; `None` for an id that is no 128-bit number."""
    try:
        return int(command_id, 16) if len(command_id) == 32 else None
    except ValueError:
        return None


def record_trace(writer: str, topic: int, partition: int, position: int) -> int:
    """The trace of a record."""
    place = f"{writer} {topic} {partition} {position}".encode()
    return xxhash.xxh3_128_intdigest(place) or 1


def record_attributes(writer: str, batch: RecordBatch, index: int) -> dict[str, str | int]:
    """Where the record lies, and what it is; neither its vehicle nor its payload."""
    row = batch.rows[index]
    return {
        "motorcade.writer": writer,
        "motorcade.topic": Topic(int(row["topic"])).word,
        "motorcade.partition": int(row["partition"]),
        "motorcade.position": int(row["position"]),
        "motorcade.payload_bytes": int(row["payload_bytes"]),
    }


@dataclass(slots=True)
class _Open:
    requested_us: int
    name: str
    handed_us: int = 0
    answered_us: int = 0
    final: Transition | None = None


class CommandSpans:
    """Topics COMMANDS and COMMAND_ANSWERS in, spans of commands that ended out.

    The topics have different writers, between which a reader keeps no order: a final transition may
    be read before the answer that it follows from. It was appended after the answer was durable, so
    once it is read and the reader then finds nothing more, everything before it has been read.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._ended: dict[str, _Open] = {}  # final, and perhaps not all read

    @property
    def waiting(self) -> bool:
        """Whether a command ended whose answer may come yet: poll on, then call `caught_up`."""
        return bool(self._ended)

    def add(self, record: Record) -> Iterator[Span]:
        """Take a record; the spans of a command come once its whole road was read."""
        if record.topic is Topic.COMMANDS:
            if record.name == TRANSITION:
                yield from self._transition(record)
            return
        id_ = _id_of(record)
        found = self._open.get(id_) or self._ended.get(id_)
        if found is None:
            return
        if record.name == HANDED_OVER:
            found.handed_us = found.handed_us or record.received_time_us
        elif not record.name:
            found.answered_us = found.answered_us or record.received_time_us
        if found.final is not None and found.handed_us and found.answered_us:
            yield from self._told(id_)

    def caught_up(self) -> Iterator[Span]:
        """A poll found nothing more: the roads of commands that ended are as long as they get."""
        for id_ in list(self._ended):
            yield from self._told(id_)

    def _transition(self, record: Record) -> Iterator[Span]:
        try:
            transition = read_transition(record.payload)
        except CommandCodecError:
            return
        if transition.name:  # "requested" alone names it
            self._open[transition.id] = _Open(transition.time_us, transition.name)
            if len(self._open) > OPEN_MAX:
                del self._open[next(iter(self._open))]
        elif transition.state in FINAL:
            found = self._open.pop(transition.id, None)
            if found is None:
                return
            found.final = transition
            self._ended[transition.id] = found
            if found.handed_us and found.answered_us:
                yield from self._told(transition.id)
            elif len(self._ended) > OPEN_MAX:
                yield from self._told(next(iter(self._ended)))

    def _told(self, id_: str) -> Iterator[Span]:
        found = self._ended.pop(id_)
        trace_id, final = command_trace(id_), found.final
        if trace_id is not None and final is not None:
            why = "" if final.state == "executed" else final.reason
            yield from _spans(trace_id, found, final.time_us, final.state, why)


def _id_of(record: Record) -> str:
    """A notice names its command; a vehicle's answer has it inside."""
    if record.name:
        return record.stream.decode("ascii", "replace")
    try:
        message = read_up(record.payload)
    except CommandCodecError:
        return ""
    return message.id if isinstance(message, Answer) else ""


def _spans(trace_id: int, found: _Open, end_us: int, state: str, reason: str) -> Iterator[Span]:
    yield Span(
        trace_id,
        f"command {found.name}",
        found.requested_us,
        end_us,
        is_root=True,
        error=reason,
        attributes={"motorcade.command": found.name, "motorcade.state": state},
    )
    if found.handed_us:
        yield Span(trace_id, "router, log and gateway", found.requested_us, found.handed_us)
    if found.handed_us and found.answered_us:
        yield Span(trace_id, VEHICLE, found.handed_us, found.answered_us)
    if found.answered_us:
        yield Span(trace_id, "answer, log and router", found.answered_us, end_us)
