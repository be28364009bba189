"""One domain of a car: its key, its epoch, and a session per client. No IO; time is an argument."""

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from tesla_protocol.command.signatures_pb2 import SessionInfo
from tesla_protocol.command.universal_message_pb2 import RoutableMessage

from motorcade.wire.tesla_command.checks import EPOCH_S_MAX, Peer, Place
from motorcade.wire.tesla_command.keys import agree, encode_public, read_public
from motorcade.wire.tesla_command.messages import VCSEC
from motorcade.wire.tesla_command.tags import session_info_tag
from motorcade.wire.tesla_command.window import CounterWindow

EPOCH_BYTES: Final = 16
PEERS_MAX: Final = 64  # sessions of an epoch, those of removed keys included
_COUNTER_MAX: Final = 0xFFFF_FFFF


class Domain:
    """Sessions live in memory: a new program means a new epoch, in which no old tag fits."""

    def __init__(
        self,
        number: int,
        vin: str,
        private: ec.EllipticCurvePrivateKey,
        entropy: Callable[[int], bytes],
        now_s: float,
    ) -> None:
        """`now_s`: monotonic seconds, as everywhere here."""
        self.number = number
        self._vin = vin
        self._private = private
        self._entropy = entropy
        self._public = encode_public(private.public_key())
        self._begin_epoch(now_s)

    def place(self, now_s: float) -> Place:
        """This domain, now."""
        return Place(self._vin, self.number, self._epoch, self._clock_s(now_s))

    def peer(self, public_key: bytes, now_s: float) -> Peer:
        """The session of a client whose key is on the list.

        A removed key's session stays: were it to begin anew when the key comes back, old messages
        would be fresh again. Raises `InvalidPublicKeyError`.
        """
        if self._worn_out(public_key, now_s):
            self._begin_epoch(now_s)
        peer = self._peers.get(public_key)
        if peer is None:
            keys = agree(self._private, read_public(public_key))
            peer = Peer(keys, CounterWindow(rising=self.number == VCSEC))
            self._peers[public_key] = peer
        return peer

    def tell_session(self, answer: RoutableMessage, peer: Peer, now_s: float) -> None:
        """Put the client's session info, with its tag, into an answer to it."""
        info = SessionInfo(
            counter=peer.window.counter,
            publicKey=self._public,
            epoch=self._epoch,
            clock_time=self._clock_s(now_s),
        ).SerializeToString()
        answer.session_info = info
        answer.signature_data.session_info_tag.tag = session_info_tag(
            peer.keys, self._vin, answer.request_uuid, info
        )

    def _clock_s(self, now_s: float) -> int:
        return int(now_s - self._begun_s)

    def _worn_out(self, public_key: bytes, now_s: float) -> bool:
        """No room for one more session, or no number for one more second or message."""
        peer = self._peers.get(public_key)
        full = peer is None and len(self._peers) >= PEERS_MAX
        counted_out = peer is not None and peer.window.counter == _COUNTER_MAX
        return full or counted_out or self._clock_s(now_s) > EPOCH_S_MAX

    def _begin_epoch(self, now_s: float) -> None:
        self._epoch = self._entropy(EPOCH_BYTES)
        self._begun_s = now_s
        self._peers: dict[bytes, Peer] = {}
