"""gRPC of a running platform: an outsider's client, TLS, acks that outlive a kill, the port."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from motorcade.wire.rpc.proto import message_class
from tests.platform_process import Platform, add_vehicles, run_motorcade, stored

VIN = "5YJ3E1EA7KF000001"
SERVING = health_pb2.HealthCheckResponse.SERVING
PROTO = Path(__file__).parents[2] / "docs" / "protocols" / "motorcade.proto"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client that protobuf's compiler makes of our file, as an outsider would have it."""
    out = tmp_path_factory.mktemp("client")
    words = ["-m", "grpc_tools.protoc", f"-I{PROTO.parent}", str(PROTO)]
    words += [f"--python_out={out}", f"--grpc_python_out={out}"]
    subprocess.run([sys.executable, *words], check=True, timeout=60)
    # In a process of its own: our descriptors of the same names are in this one.
    client = out / "client.py"
    client.write_text(CLIENT)
    return client


CLIENT = """
import sys
import grpc
import motorcade_pb2 as pb
import motorcade_pb2_grpc as stubs

place, ca, token, vin = sys.argv[1:]
with open(ca, "rb") as file:
    secure = grpc.ssl_channel_credentials(file.read())
with grpc.secure_channel(place, secure) as channel:
    fleet = stubs.FleetStub(channel)
    metadata = [("authorization", "Bearer " + token)]
    frames = fleet.StreamState(pb.StreamStateRequest(vehicle=vin), metadata=metadata, timeout=30)
    assert next(frames).snapshot.vehicle.vin == vin
    batch = pb.SampleBatch(vehicle=vin, stream="tls", sequence=1)
    batch.samples.add(signal="soc", number=42.5)
    batch.samples.add(signal="rig.note", text="warm")
    acks = list(fleet.PublishSamples(iter([batch]), metadata=metadata, timeout=30))
    assert (acks[-1].batches, acks[-1].samples) == (1, 2)
    seen = {}
    while len(seen) < 2:
        for signal in next(frames).signals.signals:
            seen[signal.name] = signal.number if signal.HasField("number") else signal.text
    assert seen == {"soc": 42.5, "rig.note": "warm"}, seen
    asked = pb.SendCommandRequest(vehicle=vin, name="honk_horn", expires_s=1)
    steps = list(fleet.SendCommand(asked, metadata=metadata, timeout=30))
    assert [step.step.state for step in steps] == ["requested", "expired"], steps
    assert steps[-1].final
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Platform]:
    data = tmp_path / "data"
    add_vehicles(data, [VIN], tmp_path / "cars")
    running = Platform(data)
    running.start()
    yield running
    running.stop()


def insecure(running: Platform) -> grpc.Channel:
    place = running.ready["grpc"]
    return grpc.insecure_channel(f"{place['host']}:{place['port']}")


def publish(channel: grpc.Channel, token: str, batches: Iterator[Any]) -> Any:
    called = channel.stream_stream(
        "/motorcade.v1.Fleet/PublishSamples",
        message_class("SampleBatch").SerializeToString,
        message_class("PublishAck").FromString,
    )
    return called(batches, metadata=[("authorization", f"Bearer {token}")], timeout=60)


def batches(count: int) -> Iterator[Any]:
    for n in range(1, count + 1):
        sample = {"signal": "soc", "number": float(n % 100)}
        yield message_class("SampleBatch")(vehicle=VIN, stream="g", sequence=n, samples=[sample])


def test_an_outsiders_client_over_tls(up: Platform, client: Path) -> None:
    place = up.ready["grpc_tls"]
    words = [f"localhost:{place['port']}", up.ready["ca_file"], up.ready["admin_token"], VIN]
    done = subprocess.run(
        [sys.executable, str(client), *words], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    words = ["token", "--data", str(up.data), "--scopes", "publish_samples"]
    token = json.loads(run_motorcade(*words, "--subject", "stranger"))["access_token"]
    with insecure(up) as channel, pytest.raises(grpc.RpcError) as raised:
        list(publish(channel, token, batches(1)))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_what_was_acknowledged_outlives_a_kill_and_the_port_stays(up: Platform) -> None:
    with insecure(up) as channel:
        answers = publish(channel, up.ready["admin_token"], batches(20_000))
        acked = next(ack.batches for ack in answers if ack.batches >= 200)
        os.kill(up.child("api"), signal.SIGKILL)
        acked, error = last_ack(answers, acked)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert acked < 20_000, "killed too late to show anything"
    with insecure(up) as channel:  # the same address, once the supervisor has healed it
        health = health_pb2_grpc.HealthStub(channel)
        ask = health_pb2.HealthCheckRequest()
        assert health.Check(ask, wait_for_ready=True, timeout=60).status == SERVING
        found = sequences(up)
        assert found[:acked] == list(range(1, acked + 1))
        again = publish(channel, up.ready["admin_token"], batches(len(found) + 50))
        assert list(again)[-1].batches == len(found) + 50
    assert sequences(up) == list(range(1, len(found) + 51)), "sent twice, read once"


def last_ack(answers: Any, acked: int) -> tuple[int, grpc.RpcError]:
    """How far the call came, and what ended it."""
    try:
        for ack in answers:
            acked = ack.batches
    except grpc.RpcError as error:
        return acked, error
    raise AssertionError("the call was not ended")


def sequences(running: Platform) -> list[int]:
    """Of the batches that are stored."""
    lines = stored(running.data, VIN)
    return sorted(line["sender_sequence"] for line in lines if line["sender_stream"] == "g")
