"""The sun over a panel: clear sky by latitude, season and hour, dimmed by clouds of a seed. No IO.

Vectors in, vectors out: one element per site. Astronomy to about a degree, which is what a panel
notices: declination and equation of time by Cooper and by Spencer's short series, the air mass of
Kasten and Young, the clear-sky beam of Meinel (1353 W/m² · 0.7^(AM^0.678)).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.vehicle.site.chance import uniform

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_S: Final = 86_400
YEAR_DAYS: Final = 365.2425
TILT: Final = np.radians(30.0)  # of every roof, towards the equator
DIFFUSE: Final = 0.12  # of the beam, from the whole sky
STANDARD_WPM2: Final = 1_000.0  # at which a panel gives its peak power
CLOUD_S: Final = 900  # clouds change over so long
_DAY, _CLOUD = 11, 12  # names of chances


def elevation_sine(time_s: Ints, latitude_deg: Floats, longitude_deg: Floats) -> Floats:
    """Sine of the sun's height over the horizon."""
    declination, hour_angle = _sun(time_s, longitude_deg)
    latitude = np.radians(latitude_deg)
    height: Floats = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(
        declination
    ) * np.cos(hour_angle)
    return height


def irradiance_wpm2(time_s: Ints, latitude_deg: Floats, longitude_deg: Floats) -> Floats:
    """What falls on the panel under a clear sky, W/m²; 0 at night."""
    height = elevation_sine(time_s, latitude_deg, longitude_deg)
    degrees = np.degrees(np.arcsin(np.clip(height, 1e-4, 1.0)))
    mass = 1.0 / (np.clip(height, 1e-4, 1.0) + 0.50572 * (degrees + 6.07995) ** -1.6364)
    beam = 1_353.0 * 0.7 ** (mass**0.678)
    # A panel tilted towards the equator sees the sun as a level one nearer to the equator does.
    level_deg = latitude_deg - np.sign(latitude_deg) * np.degrees(TILT)
    incidence = np.maximum(elevation_sine(time_s, level_deg, longitude_deg), 0.0)
    seen: Floats = np.where(height > 0.0, beam * (incidence + DIFFUSE), 0.0)
    return seen


def clear_share(time_s: Ints, seed: npt.NDArray[np.uint64]) -> Floats:
    """How much of the light the clouds let through, 0.1..1; smooth over `CLOUD_S`."""
    cover = uniform(seed, time_s // DAY_S, _DAY)  # the day's mood: from cloudless to grey
    index, part = np.divmod(time_s, CLOUD_S)
    before, after = uniform(seed, index, _CLOUD), uniform(seed, index + 1, _CLOUD)
    now = before + (after - before) * (part / CLOUD_S)
    share: Floats = 1.0 - 0.9 * cover * np.clip(now * 1.3, 0.0, 1.0)
    return share


def _sun(time_s: Ints, longitude_deg: Floats) -> tuple[Floats, Floats]:
    """Declination and hour angle, radians."""
    day = (time_s / DAY_S) % YEAR_DAYS
    angle = 2 * np.pi * (day - 81) / YEAR_DAYS
    declination = np.radians(23.45) * np.sin(angle)
    equation_min = 9.87 * np.sin(2 * angle) - 7.53 * np.cos(angle) - 1.5 * np.sin(angle)
    solar_h = (time_s % DAY_S) / 3_600 + longitude_deg / 15 + equation_min / 60
    return declination, np.radians(15.0) * (solar_h - 12.0)
