"""Watches of health: one look for all of them, and not more of them than the limit."""

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from motorcade.api.rpc.health import HealthService
from motorcade.config import Config
from tests.api.standins import FakeInside

ASK = health_pb2.HealthCheckRequest()
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CONFIG = Config().with_overrides(["rpc.watches_max=3", "rpc.health_poll_s=0.02"]).rpc


class Inside(FakeInside):
    looks = 0

    async def ready(self) -> Any:
        self.looks += 1
        return await super().ready()


class Context:
    def __init__(self) -> None:
        self.told: list[int] = []
        self.ended: grpc.StatusCode | None = None

    async def write(self, message: Any) -> None:
        self.told.append(message.status)

    async def abort(self, code: grpc.StatusCode, _details: str) -> None:
        self.ended = code
        raise grpc.aio.AbortError


def test_who_watches_hears_of_the_stop_before_the_door_shuts() -> None:
    async def watch() -> None:
        config = Config().with_overrides(["rpc.health_poll_s=60"]).rpc
        service, context = HealthService(Inside({"log": ""}), config), Context()
        call = asyncio.create_task(service.Watch(ASK, context))
        async with asyncio.timeout(20):
            while not context.told:
                await asyncio.sleep(0.001)
            service.close()
            await call
        assert context.told == [SERVING, NOT_SERVING]
        assert (await service.Check(ASK, context)).status == NOT_SERVING

    asyncio.run(watch())


def test_one_look_feeds_all_and_one_watch_too_many_is_refused() -> None:
    async def watch() -> None:
        checks = {"log": ""}
        inside = Inside(checks)
        service = HealthService(inside, CONFIG)
        contexts = [Context() for _ in range(3)]
        calls = [asyncio.create_task(service.Watch(ASK, context)) for context in contexts]
        while inside.looks < 3 + 10:
            await asyncio.sleep(0.001)
        begun_s, looks = asyncio.get_running_loop().time(), inside.looks
        while inside.looks < looks + 10:
            await asyncio.sleep(0.001)
        assert asyncio.get_running_loop().time() - begun_s > 9 * CONFIG.health_poll_s
        checks["log"] = "the disk is stuck"
        async with asyncio.timeout(20):
            while any(len(context.told) < 2 for context in contexts):
                await asyncio.sleep(0.001)
        assert [context.told for context in contexts] == [[SERVING, NOT_SERVING]] * 3

        refused = Context()
        with pytest.raises(grpc.aio.AbortError):
            await service.Watch(ASK, refused)
        assert refused.ended is grpc.StatusCode.RESOURCE_EXHAUSTED
        calls[0].cancel()
        await asyncio.gather(calls[0], return_exceptions=True)
        calls[0] = asyncio.create_task(service.Watch(ASK, refused))  # its place is free again
        async with asyncio.timeout(20):
            while not refused.told:
                await asyncio.sleep(0.001)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(watch())
