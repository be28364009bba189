"""The gRPC server on its two addresses, plain and TLS. It binds them itself: see 0030."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from motorcade.api.counter import Counter
from motorcade.api.rpc.fleet import Fleet
from motorcade.api.rpc.health import HealthService
from motorcade.api.rpc.publishing import SampleLane
from motorcade.config import RpcConfig
from motorcade.wire.rpc.schema import SERVICE

CUT_S: Final = 0.5  # at a stop, for answers that are on their way already


class Address(NamedTuple):
    """Where to serve; with `pem`, a private key and its certificates, over TLS."""

    host: str
    port: int
    pem: bytes | None = None


class RpcServer:
    """Serves `Fleet`, health and reflection."""

    def __init__(self, counter: Counter, lane: SampleLane) -> None:
        self._fleet = Fleet(counter, lane)
        config = counter.config.rpc
        self._server = aio.server(
            options=_options(config), maximum_concurrent_rpcs=config.calls_max
        )
        self._server.add_generic_rpc_handlers((self._fleet.handlers,))
        names = [SERVICE, reflection.SERVICE_NAME]
        self._health = None
        if counter.inside is not None:
            self._health = HealthService(counter.inside, config)
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
            names.append(health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection(names, self._server)

    async def start(self, addresses: Sequence[Address]) -> list[int]:
        """Accept connections; returns the ports.

        Raises:
            OSError: an address cannot be used.
        """
        ports = [self._bind(address) for address in addresses]
        await self._server.start()
        return ports

    def _bind(self, address: Address) -> int:
        host = f"[{address.host}]" if ":" in address.host else address.host
        place = f"{host}:{address.port}"
        try:
            if address.pem is None:
                return int(self._server.add_insecure_port(place))
            pair = (address.pem, address.pem)  # of each, what is of its kind is read
            credentials = grpc.ssl_server_credentials([pair])
            return int(self._server.add_secure_port(place, credentials))
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {place}: {error}") from error

    async def stop(self, limit_s: float) -> None:
        """Accept nothing more; let calls end, at most so long."""
        if self._health is not None:
            self._health.close()  # first: who balances by it goes elsewhere meanwhile
        closing = asyncio.create_task(self._server.stop(limit_s + CUT_S))
        await self._fleet.close(limit_s)
        await self._server.stop(CUT_S)
        await closing


def _options(config: RpcConfig) -> list[tuple[str, Any]]:
    return [
        ("grpc.so_reuseport", 1),  # the supervisor holds the port, too
        ("grpc.max_receive_message_length", config.message_bytes_max),
        ("grpc.max_metadata_size", config.metadata_bytes_max),
        ("grpc.absolute_max_metadata_size", config.metadata_bytes_max),
        ("grpc.max_allowed_incoming_connections", config.connections_max),
        ("grpc.max_concurrent_streams", config.calls_per_connection_max),
        ("grpc.max_connection_idle_ms", int(config.idle_s_max * 1e3)),
        ("grpc.keepalive_time_ms", int(config.keepalive_s * 1e3)),
        ("grpc.keepalive_timeout_ms", int(config.keepalive_s_max * 1e3)),
        (
            "grpc.http2.min_ping_interval_without_data_ms",
            int(config.client_ping_s_min * 1e3),
        ),
        ("grpc.http2.max_ping_strikes", 2),
    ]
