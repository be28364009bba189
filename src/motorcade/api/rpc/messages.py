"""Between the API's own shapes and gRPC's messages. No IO."""

from collections.abc import Mapping
from typing import Any, Final

from motorcade.api.errors import ApiError
from motorcade.api.shapes import CommandShown, VehicleEntry
from motorcade.commands.port import CommandView, Step
from motorcade.wire.rpc.proto import message_class

StreamStateRequest: Final = message_class("StreamStateRequest")
SendCommandRequest: Final = message_class("SendCommandRequest")
SampleBatch: Final = message_class("SampleBatch")
PublishAck: Final = message_class("PublishAck")
CommandStep: Final = message_class("CommandStep")
StateFrame: Final = message_class("StateFrame")

NESTING_MAX: Final = 16  # of a command's parameters


def as_frame(resume: str, kind: str, members: Mapping[str, Any]) -> bytes:
    """A feed's frame as a `StateFrame`: what `feed.as_json` is to the WebSocket."""
    frame = StateFrame(resume=resume)
    if kind == "snapshot":
        snapshot = frame.snapshot
        snapshot.SetInParent()
        _fill_vehicle(snapshot.vehicle, members["vehicle"])
        snapshot.last_received_time_us = members["last_received_time_us"]
        _fill_signals(snapshot.signals, members["signals"])
        for command in members["commands"]:
            _fill_command(snapshot.commands.add(), command)
    elif kind == "signals":
        _fill_signals(frame.signals.signals, members["signals"])
    elif kind == "vehicle":
        frame.presence.state, frame.presence.time_us = members["state"], members["time_us"]
    else:
        assert kind == "command"  # a test sends every kind of frame
        _fill_command(frame.command, members["command"])
    packed: bytes = frame.SerializeToString()
    return packed


def _fill_vehicle(message: Any, entry: VehicleEntry) -> None:
    message.id, message.vin = entry.id, entry.vin
    message.display_name, message.state = entry.display_name, entry.state


def _fill_signals(messages: Any, signals: Mapping[str, Mapping[str, Any]]) -> None:
    for name, signal in signals.items():
        message = messages.add(name=name, time_us=signal["time_us"], unit=signal["unit"])
        value = signal["value"]
        if isinstance(value, bool):
            message.truth = value
        elif isinstance(value, str):
            message.text = value
        elif value is not None:
            message.number = value


def _fill_command(message: Any, command: CommandShown) -> None:
    message.id, message.name = command.id, command.name
    message.parameters.update(command.parameters)
    message.state, message.final, message.reason = command.state, command.final, command.reason
    message.expires_time_us = command.expires_time_us
    message.idempotency_key = command.idempotency_key
    for step in command.timeline:
        message.timeline.add(state=step.state, time_us=step.time_us, reason=step.reason)


def command_step(view: CommandView, step: Step) -> Any:
    """One step of a command as the message that tells of it."""
    told = CommandStep(command_id=view.id, final=view.final and step is view.timeline[-1])
    told.step.state, told.step.time_us, told.step.reason = step.state, step.time_us, step.reason
    return told


def read_struct(struct: Any, depth: int = 0) -> dict[str, Any]:
    """A `google.protobuf.Struct` as a JSON object. Raises the 400 of one that nests too deep."""
    return {name: _read_value(value, depth) for name, value in struct.fields.items()}


def _read_value(value: Any, depth: int) -> Any:
    if depth > NESTING_MAX:
        text = f"parameters: nested deeper than {NESTING_MAX}"
        raise ApiError(400, "invalid_field", text)
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return read_struct(value.struct_value, depth + 1)
    if kind == "list_value":
        return [_read_value(item, depth + 1) for item in value.list_value.values]
    if kind is None or kind == "null_value":
        return None
    read = getattr(value, kind)
    if kind == "number_value" and read.is_integer():
        return int(read)  # a Struct has no whole numbers, JSON and the table of commands do
    return read
