"""The loudspeakers. As Tesla's, they obey only while somebody sits in the car."""

from collections.abc import Callable
from typing import Final

from motorcade.vehicle import media
from motorcade.vehicle.actions.action import (
    ACCEPTED,
    INVALID,
    NOBODY,
    Action,
    Parameters,
    number,
)
from motorcade.vehicle.body import Media
from motorcade.vehicle.model import Car


def _refuse(car: Car, _parameters: Parameters) -> str:
    return ACCEPTED if car.occupied else NOBODY


def _refuse_volume(car: Car, parameters: Parameters) -> str:
    if number(parameters, "volume", 0, media.VOLUME_MAX) is None:
        return INVALID
    return _refuse(car, parameters)


def _volume(car: Car, parameters: Parameters) -> None:
    car.body.media.volume = float(parameters["volume"])


def _turn(change: float) -> Callable[[Media], None]:
    def turn(player: Media) -> None:
        player.volume = min(max(player.volume + change, 0.0), media.VOLUME_MAX)

    return turn


def _toggle(player: Media) -> None:
    player.playing = not player.playing


def _button(press: Callable[[Media], None]) -> Action:
    return Action(_refuse, lambda car, _parameters: press(car.body.media))


ACTIONS: Final[dict[str, Action]] = {
    "adjust_volume": Action(_refuse_volume, _volume),
    "media_volume_up": _button(_turn(media.VOLUME_STEP)),
    "media_volume_down": _button(_turn(-media.VOLUME_STEP)),
    "media_toggle_playback": _button(_toggle),
    "media_next_track": _button(lambda player: media.skip(player, 1)),
    "media_prev_track": _button(lambda player: media.skip(player, -1)),
    "media_next_fav": _button(lambda player: media.skip_favourite(player, 1)),
    "media_prev_fav": _button(lambda player: media.skip_favourite(player, -1)),
}
