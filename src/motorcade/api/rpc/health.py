"""`grpc.health.v1.Health`: what `/health/ready` says, asked anew. No token, as there."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from motorcade.api.inside import Inside
from motorcade.wire.rpc.schema import SERVICE

SERVICES = frozenset({"", SERVICE})  # "" is the whole server
_Status = health_pb2.HealthCheckResponse


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Source: gRPC health checking protocol, grpc/health/v1/health.proto."""

    def __init__(self, inside: Inside, poll_s: float) -> None:
        self._inside, self._poll_s = inside, poll_s

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """How it is now."""
        if request.service not in SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service[:80]!r}")
        return await self._look()

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """How it is now, and again whenever it changes."""
        if request.service not in SERVICES:
            yield _Status(status=_Status.SERVICE_UNKNOWN)
        told = None
        while request.service in SERVICES:
            seen = await self._look()
            if seen != told:
                yield seen
                told = seen
            await asyncio.sleep(self._poll_s)

    async def _look(self) -> Any:
        ready = await self._inside.ready()
        return _Status(status=_Status.SERVING if ready.ok else _Status.NOT_SERVING)
