"""The descriptors made at import are what protobuf's own compiler makes of the drawn file."""

import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from motorcade.wire.rpc import proto
from motorcade.wire.rpc.schema import MESSAGES

DRAWN = Path(__file__).parents[3] / "docs" / "protocols" / proto.FILE_NAME


def test_the_compiler_reads_the_drawn_file_as_we_do(tmp_path: Path) -> None:
    assert DRAWN.read_text() == proto.proto_text(), "stale: make pages"
    out = tmp_path / "set.bin"
    words = ["-m", "grpc_tools.protoc", f"-I{DRAWN.parent}", f"--descriptor_set_out={out}"]
    subprocess.run([sys.executable, *words, str(DRAWN)], check=True, timeout=60)
    (compiled,) = FileDescriptorSet.FromString(out.read_bytes()).file
    assert compiled == proto.file_descriptor()


def test_no_number_or_name_stands_twice_in_a_message() -> None:
    for message in MESSAGES:
        assert len({field.number for field in message.fields}) == len(message.fields)
        assert len({field.name for field in message.fields}) == len(message.fields)


def test_retry_details_are_a_status_with_retry_info() -> None:
    # grpc-status-details-bin, by hand: code 8, message "x", Any(RetryInfo(retry_delay=3 s))
    url = b"type.googleapis.com/google.rpc.RetryInfo"
    retry = b"\x0a\x02\x08\x03"
    packed = b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(retry)]) + retry
    expected = b"\x08\x08\x12\x01x\x1a" + bytes([len(packed)]) + packed
    assert proto.retry_details(8, "x", 3) == expected
