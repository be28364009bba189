"""What the API's process tells the cars' process: a line of JSON each way, on a Unix socket.

Only the sandbox has this channel. What it asks for cannot come by the platform's own road: that a
car loses its network, or that its owner parks it.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

import msgspec

from motorcade.metrics.report import RUN_DIRECTORY, unix_socket
from motorcade.vehicle.vehicle_file import MqttAccess

SOCKET: Final = "cars.sock"
LINE_BYTES_MAX: Final = 4 << 20
CONNECT_S_MAX: Final = 60.0  # the cars' process starts beside this one
IDLE_MAX: Final = 4  # connections kept for the next question
SHORT_S: Final = 300.0  # a skip of no more keeps its turn like any other question
_RETRY_S: Final = 0.05


class Key(msgspec.Struct, frozen=True):
    """A key that a car obeys."""

    public_key: str  # hex of the uncompressed point
    role: str


class CarSpec(msgspec.Struct, frozen=True):
    """A car at its start."""

    vin: str
    token: str
    mqtt: MqttAccess
    cert_file: str
    key_file: str
    ca_file: str
    command_keys: dict[str, str]
    seed: int
    doing: str
    signed_commands: str
    keys: tuple[Key, ...]


class Refusal(msgspec.Struct, frozen=True):
    """Say no to a command."""

    command: str  # "*": to any
    reason: str
    times: int | None = 1  # None: until told otherwise


class Add(msgspec.Struct, frozen=True, tag="add"):
    """Put a world's cars on the road. With speed 0 their time stands still."""

    world: str
    cars: list[CarSpec]
    speed: float


class Renew(msgspec.Struct, frozen=True, tag="renew"):
    """Set a world's cars to what they are at their start, from now on."""

    world: str
    cars: list[CarSpec]
    speed: float


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """Take a world's cars off the road."""

    world: str


class Pace(msgspec.Struct, frozen=True, tag="pace"):
    """How fast a world's time goes; `None`: as before. Then let `skip_s` of it pass at once."""

    world: str
    speed: float | None
    skip_s: float


class Change(msgspec.Struct, frozen=True, tag="change"):
    """What is not `None` is changed."""

    vin: str
    doing: str | None = None
    battery_percent: float | None = None
    network: str | None = None
    clock_skew_s: float | None = None
    signed_commands: str | None = None
    refuse: tuple[Refusal, ...] | None = None  # in place of those before
    pair: Key | None = None
    unpair: str | None = None  # a public key; "*": all


Message = Add | Renew | Remove | Pace | Change


class CarView(msgspec.Struct, frozen=True):
    """A car as its own process sees it."""

    vin: str
    doing: str  # driving, charging, asleep, parked
    network: str
    signed_commands: str
    keys: list[Key]
    battery_percent: float
    elapsed_s: float  # of its own time
    clock_skew_s: float
    refusing: list[str]
    sample_time_us: int  # by its clock, of what it has just said; 0: it sleeps, and is silent


class Reply(msgspec.Struct, frozen=True):
    """An error is for whoever asked: nothing was changed."""

    error: str = ""
    cars: list[CarView] = []


class CarsFailedError(Exception):
    """The cars' process does not answer."""


class CarsRefusedError(Exception):
    """The cars' process says that this cannot be."""


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Cars:
    """The API's end. One question at a time on a connection: a long skip has one for itself."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._idle: list[Streams] = []
        self._short = asyncio.Lock()

    async def tell(self, message: Message) -> list[CarView]:
        """Ask, and wait until it is done.

        Raises:
            CarsFailedError: nobody answers.
            CarsRefusedError: it cannot be; the text says why.
        """
        long = isinstance(message, Pace) and message.skip_s > SHORT_S
        async with contextlib.nullcontext() if long else self._short:
            reply = await self._ask(message)
        if reply.error:
            raise CarsRefusedError(reply.error)
        return reply.cars

    async def _ask(self, message: Message) -> Reply:
        streams = None
        kept = False
        try:
            streams = self._idle.pop() if self._idle else await self._open()
            streams[1].write(msgspec.json.encode(message) + b"\n")
            reply = msgspec.json.decode(await streams[0].readline(), type=Reply)
            kept = True
        except (OSError, ValueError) as error:  # ValueError: cut short, or too long
            raise CarsFailedError(f"the cars' process does not answer: {error}") from error
        finally:  # also where whoever asked went: the answer of a question is no other's
            if streams is not None:
                if kept and len(self._idle) < IDLE_MAX:
                    self._idle.append(streams)
                else:
                    streams[1].close()
        return reply

    def close(self) -> None:
        """Ask no more."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _open(self) -> Streams:
        """Connect, waiting for the other process to start. Raises `OSError`."""
        end_s = asyncio.get_running_loop().time() + CONNECT_S_MAX
        while True:
            try:
                with unix_socket(self._data / RUN_DIRECTORY / SOCKET, connect=True) as opened:
                    return await asyncio.open_unix_connection(sock=opened, limit=LINE_BYTES_MAX)
            except OSError:
                if asyncio.get_running_loop().time() > end_s:
                    raise
                await asyncio.sleep(_RETRY_S)


async def serve_lines(data: Path, answer: Any) -> asyncio.Server:
    """Listen, and answer each message by `answer(message)`, a coroutine that gives a `Reply`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while line := await reader.readline():
                try:
                    reply = await answer(msgspec.json.decode(line, type=Message))
                except msgspec.MsgspecError as error:
                    reply = Reply(str(error))
                writer.write(msgspec.json.encode(reply) + b"\n")
                await writer.drain()

    path = data / RUN_DIRECTORY / SOCKET
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with unix_socket(path, connect=False) as listening:
        return await asyncio.start_unix_server(talk, sock=listening, limit=LINE_BYTES_MAX)
