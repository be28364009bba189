"""The loudspeakers: a list of made-up tracks and stations, and what plays now. No IO."""

from typing import Final, NamedTuple

from motorcade.vehicle.body import Media

VOLUME_MAX: Final = 11.0
VOLUME_STEP: Final = 0.5


class Track(NamedTuple):
    """Something to hear. Nobody has recorded these."""

    title: str
    artist: str
    album: str
    duration_s: float


TRACKS: Final = (
    Track("Ring Road at Dawn", "The Kerbstones", "Kilometre Zero", 214.0),
    Track("Amber Means Hurry", "The Kerbstones", "Kilometre Zero", 187.0),
    Track("Low Beam Lullaby", "Ada Verge", "Night Depot", 243.0),
    Track("Nineteen Kilowatt Hours", "Ada Verge", "Night Depot", 201.0),
    Track("Regenerate", "Slip Angle", "Understeer", 176.0),
)
STATIONS: Final = ("Radio Roundabout", "Lay-by FM", "Overtake 98.3")


def now_playing(media: Media) -> Track | None:
    """The track, unless a station plays."""
    return None if media.favourite else TRACKS[media.track]


def skip(media: Media, step: int) -> None:
    """To another track; from a station back to the list."""
    media.favourite = False
    media.track = (media.track + step) % len(TRACKS)
    media.position_s = 0.0


def skip_favourite(media: Media, step: int) -> None:
    """To another favourite station."""
    if media.favourite:
        media.station = (media.station + step) % len(STATIONS)
    media.favourite = True
    media.position_s = 0.0


def tick(media: Media, tick_s: float) -> None:
    """Play on. Called while somebody is there to hear it."""
    if not media.playing:
        return
    media.position_s += tick_s
    track = now_playing(media)
    if track is not None and media.position_s >= track.duration_s:
        skip(media, 1)
