"""gRPC's own limits: connections, calls at once, metadata, messages."""

from collections.abc import Iterator

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.api.standins import Platform, running

ASK = health_pb2.HealthCheckRequest()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = (
        *("rpc.connections_max=2", "rpc.calls_max=3", "rpc.metadata_bytes_max=4000"),
        "rpc.message_bytes_max=1000",
    )
    with running(tmp_path_factory.mktemp("limits"), *settings, rpc=True) as platform:
        yield platform


def connect(platform: Platform) -> grpc.Channel:
    """A channel with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.insecure_channel(f"127.0.0.1:{platform.rpc_port}", options=options)


def check(channel: grpc.Channel, **options: object) -> StatusCode:
    """How a call of `Check` ends."""
    try:
        health_pb2_grpc.HealthStub(channel).Check(ASK, timeout=10, **options)
    except grpc.RpcError as error:
        return error.code()
    return StatusCode.OK


def test_one_connection_too_many_is_closed(platform: Platform) -> None:
    with connect(platform) as first, connect(platform) as second, connect(platform) as third:
        found = [check(first), check(second), check(third)]
        assert found == [StatusCode.OK, StatusCode.OK, StatusCode.UNAVAILABLE]


def test_what_is_too_much_for_one_call_is_refused(platform: Platform) -> None:
    with connect(platform) as channel:
        assert check(channel, metadata=[("x", "y" * 5_000)]) is StatusCode.RESOURCE_EXHAUSTED
        large = channel.unary_stream("/motorcade.v1.Fleet/SendCommand")
        with pytest.raises(grpc.RpcError) as raised:
            list(large(bytes(1_001), timeout=10))
        assert raised.value.code() is StatusCode.RESOURCE_EXHAUSTED


def test_one_call_too_many_is_refused(platform: Platform) -> None:
    with connect(platform) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        calls = [stub.Watch(ASK, timeout=20) for _ in range(3)]
        for call in calls:
            next(call)
        assert check(channel) is StatusCode.RESOURCE_EXHAUSTED
        for call in calls:
            call.cancel()
