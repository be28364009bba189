"""The loudspeakers: what each command changes, and that they obey only whoever sits there."""

import pytest

from motorcade.vehicle import actions
from motorcade.vehicle.actions import media as area
from motorcade.vehicle.media import STATIONS, TRACKS, VOLUME_MAX, now_playing
from motorcade.vehicle.model import Car
from tests.vehicle.actions.cars import (
    NONE,
    Effect,
    Refusal,
    check_effect,
    check_refusal,
    do,
    driving_car,
    get,
    nothing,
    parked_car,
    put,
)

VOLUME = get("body.media.volume")


def station(car: Car) -> str:
    return STATIONS[car.body.media.station] if car.body.media.favourite else ""


EFFECTS: list[Effect] = [
    ("adjust_volume", {"volume": 7.5}, nothing, VOLUME, 7.5),
    ("media_volume_up", NONE, nothing, VOLUME, 3.5),
    ("media_volume_down", NONE, nothing, VOLUME, 2.5),
    ("media_toggle_playback", NONE, nothing, get("body.media.playing"), False),
    ("media_next_track", NONE, nothing, lambda c: now_playing(c.body.media), TRACKS[1]),
    ("media_prev_track", NONE, nothing, lambda c: now_playing(c.body.media), TRACKS[-1]),
    ("media_next_fav", NONE, put("body.media.favourite", True), station, STATIONS[1]),
    ("media_prev_fav", NONE, put("body.media.favourite", True), station, STATIONS[-1]),
]


@pytest.mark.parametrize("row", EFFECTS, ids=[row[0] for row in EFFECTS])
def test_a_command_does_what_it_says(row: Effect) -> None:
    check_effect(row, driving_car())


REFUSALS: list[Refusal] = [
    *((name, {"volume": 1}, nothing, "user_not_present") for name in area.ACTIONS),
    ("adjust_volume", {"volume": 11.5}, nothing, "invalid_parameters"),
]


@pytest.mark.parametrize("row", REFUSALS)
def test_the_car_says_why_not(row: Refusal) -> None:
    check_refusal(row, parked_car())


def test_whoever_was_let_in_may_choose_the_music() -> None:
    car = parked_car()
    do(car, "remote_start_drive")
    assert actions.refusal(car, "media_next_track", {}) == actions.ACCEPTED


def test_the_volume_stays_in_its_range() -> None:
    car = driving_car()
    for _ in range(40):
        do(car, "media_volume_up")
    assert car.body.media.volume == VOLUME_MAX
    for _ in range(40):
        do(car, "media_volume_down")
    assert car.body.media.volume == 0.0


def test_a_track_plays_to_its_end_and_the_next_begins() -> None:
    car = driving_car()
    player = car.body.media
    player.position_s = TRACKS[0].duration_s - 1.0
    car.advance(car.elapsed_s + 2.0)
    assert (player.track, player.position_s) == (1, 1.0)
    do(car, "media_toggle_playback")
    car.advance(car.elapsed_s + 5.0)
    assert player.position_s == 1.0


def test_from_a_station_back_to_the_list() -> None:
    car = driving_car()
    do(car, "media_next_fav")
    assert now_playing(car.body.media) is None
    do(car, "media_next_track")
    assert now_playing(car.body.media) == TRACKS[1]
