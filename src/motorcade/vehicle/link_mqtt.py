"""The MQTT link: keeps one connection alive and moves bytes between socket and `ClientSession`."""

from typing import Final

from motorcade.vehicle.errors import LinkError, VehicleError
from motorcade.vehicle.link import Backoff, Conversation, Dial, Inbox, Link, Sleep
from motorcade.vehicle.mqtt_session import Alive, ClientSession, Done, Down, Welcome
from motorcade.vehicle.outbox import Outbox
from motorcade.wire.mqtt.errors import MqttError
from motorcade.wire.mqtt.reasons import ProtocolLevel
from motorcade.wire.mqtt.session import PINGREQ_BYTES, Disconnect, encode_disconnect

WELCOME_S_MAX: Final = 10.0  # from dialling to CONNACK
_GOODBYE: Final = encode_disconnect(Disconnect(), ProtocolLevel.V5)


class MqttLink(Link):
    """See `Link`. The session outlives the connections."""

    protocol_error = MqttError

    def __init__(
        self,
        session: ClientSession,
        outbox: Outbox,
        inbox: Inbox,
        *,
        dial: Dial,
        sleep: Sleep,
        backoff: Backoff,
    ) -> None:
        super().__init__(outbox, inbox, dial=dial, sleep=sleep, backoff=backoff)
        self.session = session

    async def _connect_once(self) -> None:
        connection = _Connection(self)
        await self._stay(connection, self._watch(connection))

    async def _watch(self, connection: "_Connection") -> None:
        """Close a connection that shows no life: no welcome, no answer to pings."""
        await self._sleep(WELCOME_S_MAX)
        if connection.keep_alive_s is None:
            connection.fail(LinkError(f"no welcome within {WELCOME_S_MAX:g} s"))
            return
        while connection.keep_alive_s:
            connection.ping()
            await self._sleep(connection.keep_alive_s / 2)
            if connection.ping_unanswered:
                connection.fail(LinkError("the server does not answer pings"))
                return


class _Connection(Conversation):
    """One TCP connection from CONNECT to its end."""

    def __init__(self, link: MqttLink) -> None:
        super().__init__()
        self._link = link
        self._session = link.session
        self.keep_alive_s: int | None = None  # known from the welcome on; 0: no pings
        self.ping_unanswered = False

    def begin(self) -> None:
        assert self.transport is not None  # asyncio has just made it
        self.transport.write(self._session.connect())

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._session.receive(data):
                self._handle(event)
        except (VehicleError, MqttError, OSError) as error:  # OSError: the car's own disk
            self.fail(error)
            return
        self.pump()

    def fail(self, error: BaseException) -> None:
        """See `Conversation.fail`; the session starts over."""
        if not self.closed.done():
            self._session.welcomed = False
        super().fail(error)

    def say_goodbye(self) -> None:
        """Close on our own wish."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(_GOODBYE)
            self.transport.close()

    def ping(self) -> None:
        self.ping_unanswered = True
        if self.transport is not None:
            self.transport.write(PINGREQ_BYTES)

    def pump(self) -> None:
        """Write what there is, as far as the window and the socket allow."""
        packets = [self._session.resend()] if self._session.welcomed else []
        while self.writable and not self.closed.done() and self._may_publish():
            outgoing = self._link.outbox.next()
            if outgoing is None:
                break
            packet = self._session.publish(outgoing)
            if packet is None:
                self._link.outbox.done(outgoing, refused=True)
            else:
                packets.append(packet)
        data = b"".join(packets)
        if data and self.transport is not None:
            self.transport.write(data)

    def _may_publish(self) -> bool:
        """A hello needs no room: it is not in flight."""
        session = self._session
        return session.has_room or (session.welcomed and self._link.outbox.hello_waits)

    def _handle(self, event: Welcome | Down | Done | Alive) -> None:
        match event:
            case Done(outgoing=outgoing, refused=refused):
                self._link.outbox.done(outgoing, refused=refused)
            case Down(payload=payload, packet_id=packet_id):
                self._link.inbox.message(payload, lambda: self._acknowledge(packet_id))
            case Welcome():
                assert self.transport is not None  # It sent us bytes.
                self.keep_alive_s = event.keep_alive_s
                self._link.backoff.reset()
                self.transport.write(self._session.subscribe())
                self._link.inbox.connected()
            case Alive():
                self.ping_unanswered = False

    def _acknowledge(self, packet_id: int | None) -> None:
        """Too late is harmless: the server sends it again in the next connection."""
        if packet_id is not None and self.transport is not None and not self.closed.done():
            self.transport.write(self._session.acknowledge(packet_id))
