"""Vehicles that connect by TLS all at once, and again: sockets without a thread or task each.

Asyncio cannot resume a TLS session, so this is `select` over non-blocking TLS sockets. Each
vehicle keeps the session its last connection left, as a car's TLS library does.
"""

import contextlib
import selectors
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from typing import Any

CONNACK = b"\x20\x02"
WELCOME_BYTES = 4
CARS_PER_TURN = 100
CLOSE_WITH_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: as when the network is gone


@dataclass(eq=False)
class TlsCar:
    """One vehicle: its certificate, its first bytes, and how the answer to them begins."""

    context: ssl.SSLContext
    hello: bytes
    welcome: bytes
    session: ssl.SSLSession | None = None
    plain: socket.socket | None = None  # until TCP stands
    link: ssl.SSLSocket | None = None
    resumed: bool = False  # its TLS session
    begun_s: float = 0.0  # when it came to the door, by the machine's monotonic clock
    came_s: float = 0.0  # when it was welcome
    said: bytes = b""
    _shaken: bool = False
    _sent: bool = False
    _host: str = ""

    def begin(self, place: dict[str, Any]) -> int:
        """Start to connect; return the file descriptor to watch."""
        self._host = place["host"]
        self.begun_s = time.monotonic()
        self.plain = socket.socket()
        self.plain.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.plain.connect((place["host"], place["port"]))
        self._shaken = self._sent = False
        self.said = b""
        return self.plain.fileno()

    def _wrap(self, plain: socket.socket) -> ssl.SSLSocket:
        error = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "cannot connect")
        self.plain = None
        return self.context.wrap_socket(
            plain,
            server_hostname=self._host,
            do_handshake_on_connect=False,
            session=self.session,
        )

    @property
    def kept(self) -> bool:
        """Whether the server still had its MQTT session (3.1.1, §3.2.2.2)."""
        return self.welcome == CONNACK and self.said[2:3] == b"\x01"

    def go_on(self) -> bool:
        """Do what can be done now; whether the vehicle is welcome. Raises `OSError`."""
        if self.plain is not None:
            self.link = self._wrap(self.plain)
        assert self.link is not None
        if not self._shaken:
            self.link.do_handshake()
            self._shaken = True
            self.resumed = bool(self.link.session_reused)
        if not self._sent:
            self.link.sendall(self.hello)
            self._sent = True
        data = self.link.recv(4_096)
        if not data:
            raise ConnectionResetError("closed by the server")
        self.said += data
        if len(self.said) < WELCOME_BYTES:
            return False
        refused = self.welcome == CONNACK and self.said[3]  # §3.2.2.3: the return code
        if refused or not self.said.startswith(self.welcome):
            raise ConnectionRefusedError(f"the server says {self.said!r}")
        self.session = self.link.session  # 1.3: its ticket came in front of the welcome
        return True

    def drop(self) -> None:
        """Lose the connection."""
        for link in (self.plain, self.link):
            if link is not None:
                with contextlib.suppress(OSError):
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RESET)
                link.close()
        self.plain = self.link = None


@dataclass
class Arrival:
    """How a crowd came in."""

    took_s: float = 0.0
    cpu_s: float = 0.0  # the vehicles' own half
    resumed: int = 0  # TLS sessions
    kept: int = 0  # MQTT sessions
    tries: int = 0
    begun_s: list[float] = field(default_factory=list)  # when each came to the door, and ...
    came_s: list[float] = field(default_factory=list)  # ... when it was in, same order


def tls_car(vehicle: dict[str, Any], door: str, version: ssl.TLSVersion) -> TlsCar:
    """A vehicle of a `vehicle.json`, for the door "mqtts" or "telemetry", by its certificate.

    Over MQTT it asks for a session that outlives the connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(vehicle["ca_file"])
    context.load_cert_chain(vehicle["cert_file"], vehicle["key_file"])
    context.minimum_version = context.maximum_version = version
    if door == "telemetry":
        hello = (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        return TlsCar(context, hello, b"HTTP/1.1 101")
    client_id = vehicle["mqtt"]["client_id"].encode()
    body = b"\x00\x04MQTT\x04\x00\x00\x00" + struct.pack(">H", len(client_id)) + client_id
    return TlsCar(context, b"\x10" + bytes([len(body)]) + body, CONNACK)


def _next_of(
    ready: list[tuple[selectors.SelectorKey, int]],
) -> list[tuple[selectors.SelectorKey, int]]:
    """Some of them, those first whom the server has answered: cars do not wait for each other,
    so a thousand who begin must not keep one from going on until the server gives it up."""
    ready.sort(key=lambda each: each[0].events != selectors.EVENT_READ)
    return ready[:CARS_PER_TURN]


def connect_all(cars: list[TlsCar], place: dict[str, Any], limit_s: float) -> Arrival:
    """Connect all of them at once; who is turned away tries again. Raises `TimeoutError`."""
    arrival = Arrival()
    began_s, cpu_s = time.monotonic(), time.process_time()
    waiting: set[TlsCar] = set()
    with selectors.DefaultSelector() as selector:

        def begin(car: TlsCar) -> None:
            arrival.tries += 1
            waiting.add(car)
            selector.register(car.begin(place), selectors.EVENT_WRITE, car)

        for car in cars:
            begin(car)
        while waiting:
            if time.monotonic() - began_s > limit_s:
                raise TimeoutError(f"{len(waiting)} of {len(cars)} are not back after {limit_s} s")
            for key, _ in _next_of(selector.select(1.0)):
                car = key.data
                wanted = selectors.EVENT_READ
                try:
                    welcome = car.go_on()
                except ssl.SSLWantReadError:
                    welcome = False
                except ssl.SSLWantWriteError:
                    welcome, wanted = False, selectors.EVENT_WRITE
                except OSError:
                    selector.unregister(key.fd)
                    car.drop()
                    begin(car)
                    continue
                if welcome:
                    selector.unregister(key.fd)
                    waiting.discard(car)
                    car.came_s = time.monotonic()
                elif key.events != wanted:
                    selector.modify(key.fd, wanted, car)
    arrival.took_s, arrival.cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    arrival.resumed = sum(car.resumed for car in cars)
    arrival.kept = sum(car.kept for car in cars)
    arrival.begun_s = [car.begun_s for car in cars]
    arrival.came_s = [car.came_s for car in cars]
    return arrival
