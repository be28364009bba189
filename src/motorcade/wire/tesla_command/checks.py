"""Whether a car may believe a request: the checks of §4.5 in their order, as a fault or none.

Judged, not done: the window changes only through `Peer.use`, once every check is passed. Time is an
argument, in whole seconds of the domain's epoch. No IO.
"""

from dataclasses import dataclass, field
from typing import Final

from tesla_protocol.command.universal_message_pb2 import RoutableMessage

from motorcade.wire.tesla_command.faults import Fault
from motorcade.wire.tesla_command.keys import SharedKeys
from motorcade.wire.tesla_command.tags import is_authentic
from motorcade.wire.tesla_command.window import CounterWindow

UNORDERED_S_MAX: Final = 30  # a message out of order, or without a counter, lives no longer
EPOCH_S_MAX: Final = 1 << 30  # an expiry beyond is no time of any epoch
UNCOUNTED_MAX: Final = 64  # messages without a counter that are remembered until they expire


@dataclass(slots=True)
class Peer:
    """What a domain knows of one client: the common keys, and which counters it has used."""

    keys: SharedKeys
    window: CounterWindow
    responses: int = 0  # encrypted so far
    _uncounted: dict[bytes, int] = field(default_factory=dict)  # tag: when it expires

    def use(self, message: RoutableMessage, now_s: int) -> None:
        """Note that a message which passed `check` is being acted upon: never again."""
        said = message.signature_data.HMAC_Personalized_data
        if said.counter:
            self.window.use(said.counter)
            return
        live = {tag: until_s for tag, until_s in self._uncounted.items() if until_s >= now_s}
        self._uncounted = {**live, said.tag: said.expires_at}

    def uncounted(self, now_s: int) -> int:
        """How many messages without a counter could still come again."""
        return sum(until_s >= now_s for until_s in self._uncounted.values())

    def met(self, tag: bytes) -> bool:
        """Whether a message without a counter was acted upon."""
        return tag in self._uncounted


@dataclass(frozen=True, slots=True)
class Place:
    """The receiving end: one domain of one car, now."""

    vin: str
    domain: int
    epoch: bytes
    now_s: int  # since the epoch began


def check(message: RoutableMessage, peer: Peer, place: Place) -> Fault:
    """The first fault of a request whose signer is on the key list, or `Fault.NONE`."""
    if message.signature_data.WhichOneof("sig_type") != "HMAC_Personalized_data":
        return Fault.BAD_PARAMETER  # AES-GCM is for Bluetooth: the cloud must see what it carries
    said = message.signature_data.HMAC_Personalized_data
    if message.to_destination.domain != place.domain:
        return Fault.INVALID_DOMAINS
    if said.epoch and said.epoch != place.epoch:
        return Fault.INCORRECT_EPOCH
    fault = _check_time(said.expires_at, said.counter, peer, place)
    if fault is not Fault.NONE:
        return fault
    if not is_authentic(peer.keys, place.vin, place.epoch, message):
        return Fault.INVALID_SIGNATURE
    return _check_counter(said.counter, said.tag, peer, place)


def _check_time(expires_at: int, counter: int, peer: Peer, place: Place) -> Fault:
    if expires_at < place.now_s:
        return Fault.TIME_EXPIRED
    if expires_at > EPOCH_S_MAX:
        return Fault.BAD_PARAMETER
    out_of_order = counter == 0 or counter < peer.window.counter
    if out_of_order and expires_at - place.now_s > UNORDERED_S_MAX:
        return Fault.TIME_TO_LIVE_TOO_LONG
    return Fault.NONE


def _check_counter(counter: int, tag: bytes, peer: Peer, place: Place) -> Fault:
    """A counter of zero says that order does not matter; but once is enough, for our cars."""
    if counter:
        return Fault.NONE if peer.window.fresh(counter) else Fault.INVALID_TOKEN_OR_COUNTER
    if peer.window.rising or peer.met(tag):
        return Fault.INVALID_TOKEN_OR_COUNTER
    return Fault.NONE if peer.uncounted(place.now_s) < UNCOUNTED_MAX else Fault.BUSY
