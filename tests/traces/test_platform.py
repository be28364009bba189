"""A whole platform with a real OTLP receiver beside it: what arrives there, and from whom."""

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.platform_process import MOTORCADE, add_vehicles, platform

VIN = "5YJ3E1EA7KF000001"
CAR_WAYS = ("verify", "judge", "journal", "execute", "answer")


class Receiver(http.server.ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[bytes] = []

    def spans(self) -> dict[tuple[str, str], Span]:
        """By trace id in hex, and the span's name behind its service's."""
        found = {}
        for content in self.requests:
            for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
                named = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        name = f"{named['service.name']}: {span.name}"
                        found[span.trace_id.hex(), name] = span
        return found


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        import gzip

        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        self.server.requests.append(content)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def assert_the_cars_part(spans: dict[str, Span]) -> None:
    """It lies within what the platform saw of the vehicle, in order and without a gap."""
    seen, car = spans["motorcade-api: vehicle"], spans["motorcade-vehicle: car"]
    assert car.parent_span_id == seen.span_id
    assert seen.start_time_unix_nano <= car.end_time_unix_nano
    assert car.end_time_unix_nano <= seen.end_time_unix_nano
    ways = [spans[f"motorcade-vehicle: car: {way}"] for way in CAR_WAYS]
    assert {way.parent_span_id for way in ways} == {car.span_id}
    ends = [way.end_time_unix_nano for way in ways]
    starts = [car.start_time_unix_nano, *ends[:-1]]
    assert [way.start_time_unix_nano for way in ways] == starts
    assert ends[-1] == car.end_time_unix_nano


def test_a_command_and_records_are_traced_through_all_processes(
    receiver: Receiver, tmp_path: Path
) -> None:
    settings = (
        f"traces.otlp_url=http://127.0.0.1:{receiver.server_port}/v1/traces",
        "traces.sample_every_records=1",
    )
    with platform(tmp_path / "data", settings) as up:
        car = add_vehicles(up.data, [VIN], tmp_path / "cars")[VIN]
        driving = subprocess.Popen(
            [
                *(MOTORCADE, "drive", "--vehicle", str(tmp_path / "cars" / VIN / "vehicle.json")),
                *("--set", f"vehicle.otlp_url=http://127.0.0.1:{receiver.server_port}/v1/traces"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            words = ["send", VIN, "honk_horn", "--json", "--expires", "60", "--data", str(up.data)]
            sent = subprocess.run([MOTORCADE, *words], capture_output=True, check=True)
        finally:
            driving.terminate()
            driving.wait()
    command = json.loads(sent.stdout)["id"]
    spans = receiver.spans()
    of_command = {name: span for (trace, name), span in spans.items() if trace == command}
    assert set(of_command) == {
        "motorcade-api: command honk_horn",
        "motorcade-api: http",
        "motorcade-api: router, log and gateway",
        "motorcade-api: vehicle",
        "motorcade-api: answer, log and router",
        "motorcade-vehicle: car",
        *(f"motorcade-vehicle: car: {way}" for way in CAR_WAYS),
    }
    assert_the_cars_part(of_command)
    root = of_command.pop("motorcade-api: command honk_horn")
    assert not root.parent_span_id
    platforms = [span for name, span in of_command.items() if name.startswith("motorcade-api")]
    assert all(span.parent_span_id == root.span_id for span in platforms)
    http_span = of_command["motorcade-api: http"]
    assert http_span.start_time_unix_nano <= root.start_time_unix_nano
    assert http_span.end_time_unix_nano >= root.end_time_unix_nano

    records = [trace for trace, name in spans if name == "motorcade-api: record telemetry"]
    assert records
    for trace in records:
        of_record = {name: span for (each, name), span in spans.items() if each == trace}
        assert set(of_record) == {
            "motorcade-api: record telemetry",
            "motorcade-gateway: door and commit",
            "motorcade-api: follower and state",
        }
    everything = b"".join(receiver.requests)
    assert VIN.encode() not in everything
    assert car["token"].encode() not in everything
