"""Who comes in when: by the rate, the places and the room; the rest waits and nobody is refused."""

import asyncio
import socket
from contextlib import ExitStack
from dataclasses import replace

import pytest
import uvloop

from motorcade.config import Config, GatewayConfig
from motorcade.gateway.listener import Listener


class Peer(asyncio.BufferedProtocol):
    """Says nothing, is counted."""

    def __init__(self, came: list["Peer"]) -> None:
        self._came = came
        self._buffer = bytearray(16)
        self.transport: asyncio.BaseTransport
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._came.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None: ...


class Door:
    """A listener on loopback, and clients that knock."""

    def __init__(self, stack: ExitStack, config: GatewayConfig, *, room: int = 1_000) -> None:
        self._stack = stack
        self.came: list[Peer] = []
        self.room = room
        self.listener = Listener(
            asyncio.get_running_loop(),
            lambda: Peer(self.came),
            None,
            config,
            handshake_s_max=5.0,
            has_room=lambda: self.listener.handshakes + len(self.came) < self.room,
        )
        self.port = self.listener.start(socket.create_server(("127.0.0.1", 0), backlog=64))
        stack.callback(self._close)

    def knock(self, count: int) -> list[socket.socket]:
        """Connect so many; the kernel takes them all."""
        address = ("127.0.0.1", self.port)
        return [self._stack.enter_context(socket.create_connection(address)) for _ in range(count)]

    async def until(self, count: int) -> float:
        """How long it took until so many were in, in seconds."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with asyncio.timeout(20):
            while len(self.came) < count:
                await asyncio.sleep(0.005)
        return loop.time() - began_s

    def _close(self) -> None:
        self.listener.close()
        for peer in self.came:
            peer.transport.abort()  # type: ignore[attr-defined]


CONFIG = Config().gateway


def test_beyond_a_burst_peers_come_in_by_the_rate_and_none_is_refused() -> None:
    async def main() -> None:
        with ExitStack() as stack:
            door = Door(stack, replace(CONFIG, accepts_per_s=20, accepts_burst=5))
            clients = door.knock(15)
            took_s = await door.until(15)
            assert took_s > 0.35  # ten at 20 per second, less what came during the knocking
            assert door.listener.rate_waits >= 1
            for client in clients:
                client.setblocking(False)
                with pytest.raises(BlockingIOError):  # open, and silent
                    client.recv(1)

    asyncio.run(main())


def test_a_burst_comes_in_at_once_and_no_rate_is_no_limit() -> None:
    async def main() -> None:
        with ExitStack() as stack:
            calm = Door(stack, replace(CONFIG, accepts_per_s=0.001, accepts_burst=40))
            free = Door(stack, replace(CONFIG, accepts_per_s=0, accepts_burst=0))
            for door in (calm, free):
                door.knock(40)
                await door.until(40)
            assert free.listener.rate_waits == 0

    asyncio.run(main())


def test_without_room_peers_wait_until_there_is_some() -> None:
    async def main() -> None:
        with ExitStack() as stack:
            door = Door(stack, CONFIG, room=3)
            door.knock(5)
            await door.until(3)
            await asyncio.sleep(0.1)
            assert len(door.came) == 3
            door.room = 5
            door.listener.consider()
            await door.until(5)

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(6))
def test_whoever_is_handed_over_while_the_door_closes_hears_of_its_end(turns: int) -> None:
    """On uvloop, as in production: it forgets a protocol whose task is cancelled too early."""

    async def main() -> tuple[list[bool], list[bytes]]:
        with ExitStack() as stack:
            door = Door(stack, CONFIG)
            clients = door.knock(8)
            for _ in range(turns):
                await asyncio.sleep(0)
            door.listener.close()
            async with asyncio.timeout(20):
                while door.listener.handshakes:
                    await asyncio.sleep(0.001)
            for peer in door.came:
                peer.transport.abort()  # type: ignore[attr-defined]
            await asyncio.sleep(0.02)
            for client in clients:
                client.settimeout(5)
            return [peer.lost for peer in door.came], [read(client) for client in clients]

    lost, heard = uvloop.run(main())
    assert all(lost), f"{lost.count(False)} of {len(lost)} were never told"
    assert heard == [b""] * 8


def read(client: socket.socket) -> bytes:
    """What it hears; a reset is an end, too."""
    try:
        return client.recv(1)
    except ConnectionResetError:
        return b""
