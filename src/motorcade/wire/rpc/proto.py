"""Descriptors and classes of the messages in `schema.py`, made at import; the `.proto` as text."""

from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pool, duration_pb2, message_factory, struct_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from motorcade.wire.rpc.schema import (
    MESSAGES,
    METHODS,
    PACKAGE,
    SERVICE,
    Field,
    Message,
    Method,
)

FILE_NAME: Final = "motorcade.proto"
RETRY_INFO_URL: Final = "type.googleapis.com/google.rpc.RetryInfo"

_KINDS: Final = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
}


def file_descriptor() -> FileDescriptorProto:
    """The file as protobuf's compiler would describe it, comments apart."""
    file = FileDescriptorProto(name=FILE_NAME, package=PACKAGE, syntax="proto3")
    file.dependency.append(struct_pb2.DESCRIPTOR.name)
    file.message_type.extend(_message(message, PACKAGE) for message in MESSAGES)
    service = file.service.add(name=SERVICE.rpartition(".")[2])
    for method in METHODS:
        service.method.add(
            name=method.name,
            input_type=f".{PACKAGE}.{method.asks}",
            output_type=f".{PACKAGE}.{method.answers}",
            client_streaming=method.streams_in or None,
            server_streaming=True,
        )
    return file


def _message(message: Message, package: str) -> DescriptorProto:
    described = DescriptorProto(name=message.name)
    choices: list[str] = []
    for field in message.fields:
        added = described.field.add(name=field.name, number=field.number)
        added.json_name = _json_name(field.name)
        added.label = (
            FieldDescriptorProto.LABEL_REPEATED
            if field.repeated
            else FieldDescriptorProto.LABEL_OPTIONAL
        )
        if field.kind in _KINDS:
            added.type = _KINDS[field.kind]
        else:
            added.type = FieldDescriptorProto.TYPE_MESSAGE
            full = "." in field.kind
            added.type_name = f".{field.kind}" if full else f".{package}.{field.kind}"
        if field.choice:
            if field.choice not in choices:
                choices.append(field.choice)
                described.oneof_decl.add(name=field.choice)
            added.oneof_index = choices.index(field.choice)
    return described


def _json_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_POOL: Final = descriptor_pool.Default()
_POOL.AddSerializedFile(file_descriptor().SerializeToString())


def message_class(name: str) -> Any:
    """The class of a message of ours. Raises `KeyError`."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def _status_class() -> Any:
    """`google.rpc.Status` (and `RetryInfo`), in a pool of its own: another package may bring it."""
    pool = descriptor_pool.DescriptorPool()
    for known in (any_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    status = Message(
        "Status",
        "",
        (
            Field(1, "int32", "code"),
            Field(2, "string", "message"),
            Field(3, "google.protobuf.Any", "details", repeated=True),
        ),
    )
    retry = Message("RetryInfo", "", (Field(1, "google.protobuf.Duration", "retry_delay"),))
    file = FileDescriptorProto(name="google/rpc/status.proto", package="google.rpc")
    file.syntax = "proto3"
    file.dependency.extend(known.DESCRIPTOR.name for known in (any_pb2, duration_pb2))
    file.message_type.extend(_message(message, "google.rpc") for message in (status, retry))
    pool.AddSerializedFile(file.SerializeToString())
    found = (pool.FindMessageTypeByName(f"google.rpc.{name}") for name in ("Status", "RetryInfo"))
    return tuple(map(message_factory.GetMessageClass, found))


Status, RetryInfo = _status_class()
"""What `grpc-status-details-bin` holds. Source: google/rpc/status.proto, error_details.proto."""


def retry_details(code: int, text: str, retry_s: int) -> bytes:
    """A `Status` that says when the same call would pass."""
    retry = RetryInfo()
    retry.retry_delay.seconds = retry_s
    status = Status(code=code, message=text)
    status.details.add(type_url=RETRY_INFO_URL, value=retry.SerializeToString())
    packed: bytes = status.SerializeToString()
    return packed


def proto_text() -> str:
    """The `.proto` file, for clients in any language."""
    head = (
        "// Motorcade's gRPC service, drawn from `wire/rpc/schema.py` by `make pages`.\n"
        "// What it promises, who may call it and how it refuses: grpc.md beside this file.\n"
        f'\nsyntax = "proto3";\n\npackage {PACKAGE};\n\n'
        f'import "{struct_pb2.DESCRIPTOR.name}";\n'
    )
    service = SERVICE.rpartition(".")[2]
    methods = "".join(map(_method_text, METHODS))
    messages = "".join(map(_message_text, MESSAGES))
    return f"{head}\nservice {service} {{\n{methods}}}\n{messages}"


def _method_text(method: Method) -> str:
    asks = f"stream {method.asks}" if method.streams_in else method.asks
    return f"  // {method.about}\n  rpc {method.name}({asks}) returns (stream {method.answers});\n"


def _message_text(message: Message) -> str:
    lines = [f"\n// {message.about}", f"message {message.name} {{"]
    choice = ""
    for field in message.fields:
        if choice and field.choice != choice:
            lines.append("  }")
        if field.choice and field.choice != choice:
            lines.append(f"  oneof {field.choice} {{")
        choice = field.choice
        lines.append(("    " if choice else "  ") + _field_text(field))
    if choice:
        lines.append("  }")
    return "\n".join([*lines, "}\n"])


def _field_text(field: Field) -> str:
    repeated = "repeated " if field.repeated else ""
    about = f"  // {field.about}" if field.about else ""
    return f"{repeated}{field.kind} {field.name} = {field.number};{about}"
