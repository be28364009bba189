"""A TCP link that a test can cut, or leave half open: what passes through it is not looked at."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

CHUNK_BYTES = 1 << 16


@dataclass(eq=False)
class Passage:
    """One connection through the link: the peer's side and the server's."""

    peer: asyncio.StreamWriter
    server: asyncio.StreamWriter
    stalled: bool = False
    pumps: list["asyncio.Task[None]"] = field(default_factory=list)


class FlakyLink:
    """Forwards to `upstream`, which may change: a restarted platform has other ports."""

    def __init__(self) -> None:
        self.upstream: tuple[str, int] = ("", 0)
        self.passages: set[Passage] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> dict[str, Any]:
        """Listen on a port of the system's choice; return its host and port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return {"host": host, "port": port}

    def aim(self, place: dict[str, Any]) -> None:
        """Forward new connections there."""
        self.upstream = (place["host"], place["port"])

    def cut(self) -> int:
        """Reset every connection; return how many there were."""
        passages = list(self.passages)
        for passage in passages:
            self._end(passage)
        return len(passages)

    def stall(self) -> int:
        """Leave every connection half open: nothing passes any more, no side is told."""
        fresh = [passage for passage in self.passages if not passage.stalled]
        for passage in fresh:
            passage.stalled = True
            for pump in passage.pumps:
                pump.cancel()
        return len(fresh)

    async def stop(self) -> None:
        """Accept no more and cut what is left."""
        assert self._server is not None
        self._server.close()
        self.cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            writer.transport.abort()
            return
        passage = Passage(writer, server_writer)
        self.passages.add(passage)
        passage.pumps = [
            asyncio.create_task(self._pump(passage, reader, server_writer)),
            asyncio.create_task(self._pump(passage, server_reader, writer)),
        ]

    async def _pump(
        self, passage: Passage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                writer.write(data)
                await writer.drain()
        if not passage.stalled:
            self._end(passage)

    def _end(self, passage: Passage) -> None:
        self.passages.discard(passage)
        for pump in passage.pumps:
            if pump is not asyncio.current_task():
                pump.cancel()
        for side in (passage.peer, passage.server):
            side.transport.abort()
