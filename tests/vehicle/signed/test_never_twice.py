"""No message acts twice, late, at the wrong door or for a stranger: histories drawn at random.

The model is what a person would say: a message may act if its signer is on the list when it comes,
it was signed for this car, this domain and this epoch, it is not expired, its bytes are as signed,
and its number has not been used, nor is it too old to tell. Whatever else comes must not act.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.wire.tesla_command.messages import INFOTAINMENT, VCSEC
from motorcade.wire.tesla_command.tags import command_tag
from tests.vehicle.signed.car import HONK, LOCK, SignedCar, Signer, public
from tests.wire.tesla_command.signer import Client, key

DOMAINS = (INFOTAINMENT, VCSEC)
NUMBERS = (2, 3)


@dataclass
class Sent:
    """A message that somebody made, to be delivered whenever."""

    number: int
    domain: int
    counter: int
    epoch: bytes
    expires_s: float  # the test's clock, when its second is over
    message: Any
    forged: bool


def tag_of(sent: Sent) -> bytes:
    return bytes(sent.message.signature_data.HMAC_Personalized_data.tag)


@dataclass
class World:
    """One car, its restarts, and every message made for it so far."""

    car: SignedCar = field(default_factory=SignedCar)
    seed: int = 1
    sent: list[Sent] = field(default_factory=list)
    used: dict[tuple[bytes, int, int], set[int]] = field(default_factory=dict)
    uncounted: set[bytes] = field(default_factory=set)  # tags of messages without a number
    paired: set[int] = field(default_factory=set)

    def pair(self, number: int) -> None:
        self.car.pair(number)
        self.paired.add(number)

    def unpair(self, number: int) -> None:
        self.car.keychain.remove(public(number))
        self.paired.discard(number)

    def restart(self) -> None:
        self.seed += 1
        now_s = self.car.now_s
        self.car = SignedCar(self.car.disk, seed=self.seed)
        self.car.now_s = now_s

    def make(self, number: int, domain: int, counter: int, ttl_s: int, forge: str) -> None:
        if number not in self.paired:
            return
        signer = Signer(self.car, number, domain)
        signer.greet()
        payload = HONK if domain == INFOTAINMENT else LOCK
        begun_s = self.car.receiver._domains[domain]._begun_s  # to the fraction of a second
        expires_at = max(int(self.car.now_s - begun_s) + ttl_s, 0)
        message = signer.sign(payload, counter=counter, expires_at=expires_at)
        client = signer.client
        if forge == "vin":
            client = Client(client.private, client.car, "5YJ3E1EA7KF000002", domain)
        elif forge == "stranger":
            client = Client(key(9), client.car, client.vin, domain)
        elif forge == "domain":
            message.to_destination.domain = VCSEC if domain == INFOTAINMENT else INFOTAINMENT
        elif forge == "payload":
            message.protobuf_message_as_bytes += HONK
        elif forge == "counter":
            message.signature_data.HMAC_Personalized_data.counter += 1
        elif forge == "expiry":
            message.signature_data.HMAC_Personalized_data.expires_at += 20
        if forge in ("vin", "stranger"):
            said = message.signature_data.HMAC_Personalized_data
            said.tag = command_tag(client.keys, client.vin, signer.epoch, message)
        expires_s = begun_s + expires_at + 1
        self.sent.append(
            Sent(number, domain, counter, signer.epoch, expires_s, message, forge != "")
        )

    def deliver(self, sent: Sent) -> None:
        before = len(self.car.machine.done)
        self.car.receive(sent.message)
        acted = len(self.car.machine.done) > before
        assert acted <= self.may_act(sent), f"acted, and must not: {sent}"
        # And what may act does act, or the property would hold for a dead car.
        assert acted >= (self.may_act(sent) and sent.counter > 0), f"did not act: {sent}"
        if acted:
            self.uses(sent).add(sent.counter)
            self.uncounted.add(tag_of(sent))

    def uses(self, sent: Sent) -> set[int]:
        return self.used.setdefault((sent.epoch, sent.domain, sent.number), set())

    def may_act(self, sent: Sent) -> bool:
        probe = Signer(self.car, sent.number, sent.domain)
        if sent.forged or sent.number not in self.paired:
            return False
        probe.greet()
        if probe.epoch != sent.epoch or self.car.now_s >= sent.expires_s:
            return False
        greatest = max(self.uses(sent), default=0)
        if tag_of(sent) in self.uncounted if sent.counter == 0 else sent.counter in self.uses(sent):
            return False
        if sent.counter > greatest:
            return True
        left_s = sent.expires_s - 1 - self.car.now_s
        near = sent.counter == 0 or greatest - sent.counter <= 32
        near = near and sent.domain == INFOTAINMENT
        return near and left_s <= 31


makes = st.tuples(
    st.just("make"),
    st.sampled_from(NUMBERS),
    st.sampled_from(DOMAINS),
    st.integers(0, 45),
    st.integers(-2, 40),
    st.sampled_from(["", "", "", "vin", "stranger", "domain", "payload", "counter", "expiry"]),
)
steps = st.one_of(
    makes,
    makes,
    makes,
    makes,
    st.tuples(st.just("deliver"), st.integers(0, 10**6)),
    st.tuples(st.just("deliver"), st.integers(0, 10**6)),
    st.tuples(st.just("pass"), st.floats(0, 12)),
    st.tuples(st.just("pair"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("unpair"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("restart")),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, min_size=15, max_size=60))
def test_no_message_acts_that_must_not(history: list[Any]) -> None:
    world = World()
    for number in NUMBERS:
        world.pair(number)
    for kind, *given_ in history:
        match kind:
            case "make":
                world.make(*given_)
            case "deliver":
                if world.sent:
                    world.deliver(world.sent[given_[0] % len(world.sent)])
            case "pass":
                world.car.now_s += given_[0]
            case "pair":
                world.pair(*given_)
            case "unpair":
                world.unpair(*given_)
            case "restart":
                world.restart()
    for sent in [*world.sent, *world.sent]:  # everything once more: a replay of the whole day
        world.deliver(sent)
