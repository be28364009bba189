"""Whether a vehicle is online, asleep or offline: one answer for every route. No IO."""

from typing import Final

from motorcade.state.port import VehicleState

ONLINE: Final = "online"  # connected and awake: it answers
ASLEEP: Final = "asleep"  # connected, and answers to `wake_up` alone
OFFLINE: Final = "offline"  # not connected, as far as the gateway has told
ASLEEP_SIGNAL: Final = "asleep"  # the vehicle's own word for it


def presence(state: VehicleState) -> str:
    """`online`, `asleep` or `offline`, Tesla's words in a vehicle's entry."""
    return presence_of(online=state.online, asleep=is_asleep(state))


def is_asleep(state: VehicleState) -> bool:
    """What the vehicle said last; it may have gone since."""
    reading = state.signals.get(ASLEEP_SIGNAL)
    return reading is not None and bool(reading.value)


def presence_of(*, online: bool, asleep: bool) -> str:
    """The same from its two parts."""
    if not online:
        return OFFLINE
    return ASLEEP if asleep else ONLINE
