"""The causal chain of one command, from the log: who asked, what happened when, why it ended so."""

from pathlib import Path
from typing import Any, Final

import msgspec

from motorcade.cli.log_reading import slices
from motorcade.cli.render import CommandError
from motorcade.cli.why_presence import Presence
from motorcade.commands.states import FINAL, State
from motorcade.events import Record, Topic
from motorcade.wire.command.answers import read_up
from motorcade.wire.command.errors import CommandCodecError
from motorcade.wire.command.messages import Answer, Journal
from motorcade.wire.command.records import MESSAGE, TRANSITION, Transition, read_transition

NOTICES: Final = {
    b"handed_over": "the gateway handed it to a session of the vehicle",
    b"undelivered": "it expired in the gateway: no session of the vehicle took it",
    b"delivery_unknown": "it expired; an earlier gateway process may have handed it over",
}
HELP: Final = {
    "vehicle_offline": "The vehicle was not connected before the command expired. Wake it first, "
    "or allow more time: X-Command-Expires-S (motorcade send --expires).",
    "delivery_unknown": "The gateway was restarted meanwhile and cannot tell whether the vehicle "
    "got it. Wait: when it connects, its journal says what it did.",
    "no_answer": "The vehicle was given the command and has not answered. Wait: when it connects "
    "again, its journal says what it did; it will not execute it late.",
    "expired_in_vehicle": "It reached the vehicle after its expiry, by authenticated time, and was "
    "not executed. Allow more time, or look at the link's delay.",
    "never_received": "The vehicle never had it, and keeps it out for ever. Send a new one.",
    "interrupted": "The vehicle lost power while it executed the command; nobody knows whether it "
    "was done. Look at the vehicle's state before sending again.",
}
REFUSED: Final = (
    "The vehicle itself refused, for the reason it names; the same command is refused until that "
    "has changed."
)
UNDER_WAY: Final = "It is under way: look again in a moment."
DONE: Final = "Nothing is amiss: the vehicle executed it."


def chain(data: Path, command_id: str) -> dict[str, Any]:
    """What the log holds about this command.

    Raises:
        CommandError: the log holds nothing about it.
    """
    found: list[Record] = []
    presence = Presence()
    requested: Transition | None = None
    wanted = command_id.encode()
    for part in slices(data, frozenset({Topic.COMMANDS, Topic.COMMAND_ANSWERS})):
        found += [record for record in part.batch if _concerns(record, wanted)]
    found.sort(key=lambda record: (record.received_time_us, record.topic != Topic.COMMANDS))
    steps = [_step(record, command_id) for record in found]
    transitions = [read_transition(each.payload) for each in found if each.name == TRANSITION]
    for each in transitions:
        requested = requested or (each if each.state == State.REQUESTED else None)
    if requested is None:
        raise CommandError(
            f"the log holds no command {command_id}: it never was, or retention has removed it "
            "(log.retention_fast_age_s)"
        )
    vehicle = next(record.vehicle for record in found if record.name == TRANSITION)
    presence.read(data, vehicle)
    last = max(transitions, key=lambda each: each.time_us)
    return {
        "id": command_id,
        "vehicle": vehicle,
        "name": requested.name,
        "parameters": requested.parameters,
        "account": requested.account,
        "expires_time_us": requested.expires_time_us,
        "state": last.state,
        "reason": last.reason,
        "steps": steps,
        "vehicle_online": presence.between(requested.time_us, requested.expires_time_us),
        "help": _help(last),
    }


def _concerns(record: Record, wanted: bytes) -> bool:
    if record.topic is Topic.COMMANDS or record.name:
        return record.stream == wanted and record.name != MESSAGE
    return wanted in record.payload


def _step(record: Record, command_id: str) -> dict[str, Any]:
    step: dict[str, Any] = {
        "time_us": record.received_time_us,
        "topic": record.topic.word,
        "partition": record.partition,
        "position": record.position,
    }
    if record.name == TRANSITION:
        transition = read_transition(record.payload)
        reason = f" ({transition.reason})" if transition.reason else ""
        return step | {"by": "router", "what": f"{transition.state}{reason}"}
    if record.name:
        return step | {"by": "gateway", "what": NOTICES.get(record.name, record.name.decode())}
    return step | {"by": "vehicle", "what": _said(record, command_id)}


def _said(record: Record, command_id: str) -> str:
    try:
        message = read_up(record.payload)
    except CommandCodecError as error:
        return f"sent what nobody can read: {error}"
    entries: list[Any] = [message] if isinstance(message, Answer) else []
    if isinstance(message, Journal):
        entries = [entry for entry in message.entries if entry.id == command_id]
    if not entries:
        return f"sent {type(message).__name__.lower()}"
    word = "answered" if isinstance(message, Answer) else "its journal says"
    entry = msgspec.to_builtins(entries[0])
    reason = f" ({entry['reason']})" if entry.get("reason") else ""
    return f"{word} {entry['state']}{reason}"


def _help(last: Transition) -> str:
    if last.state == State.EXECUTED:
        return DONE
    if last.state == State.REFUSED:
        return REFUSED
    if last.reason in HELP:
        return HELP[last.reason]
    return UNDER_WAY if last.state not in FINAL else f"It ended as {last.state}."
