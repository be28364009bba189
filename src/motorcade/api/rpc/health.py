"""`grpc.health.v1.Health`: what `/health/ready` says, asked anew. No token, as there."""

import asyncio
import contextlib
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from motorcade.api.inside import Inside
from motorcade.config import RpcConfig
from motorcade.wire.rpc.schema import SERVICE

SERVICES = frozenset({"", SERVICE})  # "" is the whole server
_Status = health_pb2.HealthCheckResponse


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Source: gRPC health checking protocol, grpc/health/v1/health.proto."""

    def __init__(self, inside: Inside, config: RpcConfig) -> None:
        self._inside, self._config = inside, config
        self._watches = 0
        self._looking: asyncio.Task[Any] | None = None  # the next look, for all who watch
        self._closing = asyncio.Event()

    def close(self) -> None:
        """From now on nothing is served: who watches is told, and their calls end."""
        self._closing.set()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """How it is now."""
        if request.service not in SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service[:80]!r}")
        return await self._look()

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802
        """How it is now, and again whenever it changes."""
        if request.service not in SERVICES:
            await context.write(_Status(status=_Status.SERVICE_UNKNOWN))
            return
        limit = self._config.watches_max
        if self._watches >= limit:
            text = f"{limit} calls watch already, which is rpc.watches_max: ask by Check"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        self._watches += 1
        try:
            told = await self._look()
            await context.write(told)
            while not self._closing.is_set():
                seen = await self._next()
                if seen != told:
                    await context.write(seen)
                    told = seen
        finally:
            self._watches -= 1

    async def _next(self) -> Any:
        """One look for all who wait for it; nobody looks when nobody waits."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_later())
        return await asyncio.shield(self._looking)

    async def _look_later(self) -> Any:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), self._config.health_poll_s)
        return await self._look()

    async def _look(self) -> Any:
        if self._closing.is_set():
            return _Status(status=_Status.NOT_SERVING)
        ready = await self._inside.ready()
        return _Status(status=_Status.SERVING if ready.ok else _Status.NOT_SERVING)
