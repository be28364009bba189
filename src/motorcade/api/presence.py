"""Whether a vehicle is online, asleep or offline: one answer for every route. No IO."""

from typing import Final

from motorcade.events import VehicleToken
from motorcade.state.port import LiveState, VehicleState

ONLINE: Final = "online"  # connected and awake: it answers
ASLEEP: Final = "asleep"  # connected, and answers to `wake_up` alone
OFFLINE: Final = "offline"  # not connected, as far as the gateway has told
ASLEEP_SIGNAL: Final = "asleep"  # the vehicle's own word for it


def presence(state: VehicleState) -> str:
    """`online`, `asleep` or `offline`, Tesla's words in a vehicle's entry."""
    return presence_of(online=state.online, asleep=is_asleep(state))


def presence_now(state: LiveState, token: VehicleToken) -> str:
    """The same of a vehicle of which nothing else is asked."""
    if not state.online(token):
        return OFFLINE
    said = state.value(token, ASLEEP_SIGNAL)
    return presence_of(online=True, asleep=said is not None and bool(said.value))


def is_asleep(state: VehicleState) -> bool:
    """What the vehicle said last; it may have gone since."""
    reading = state.signals.get(ASLEEP_SIGNAL)
    return reading is not None and bool(reading.value)


def presence_of(*, online: bool, asleep: bool) -> str:
    """The same from its two parts."""
    if not online:
        return OFFLINE
    return ASLEEP if asleep else ONLINE
