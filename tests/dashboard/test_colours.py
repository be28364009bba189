"""States stay apart for every kind of sight, and from the ground (dashboard.md §5)."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

WEB = Path(__file__).parents[2] / "web" / "src"
APART = {"dark": 18, "light": 16}
"""Smallest distance in Lab (CIE 1976) between two states, rounded."""
CONTRAST = 3.0
GROUNDS = ("sea", "land", "park", "street")  # what cars stand on, of the basemap

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
SIGHTS = {
    "usual": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = TO_XYZ.sum(axis=1)


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(colour: str, sight: str) -> np.ndarray:
    seen = np.clip(SIGHTS[sight] @ linear(colour), 0, 1)
    xyz = TO_XYZ @ seen / WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    a, b = sorted(float(TO_XYZ[1] @ linear(colour)) + 0.05 for colour in (one, other))
    return b / a


def states(theme: str) -> dict[str, str]:
    """The map's colours, from the page's own source."""
    return block("lib/states.ts", theme)


@pytest.mark.parametrize("theme", APART)
def test_two_states_stay_apart_for_every_sight(theme: str) -> None:
    colours = states(theme)
    assert len(colours) == 7
    distances = {
        (one, other, sight): float(
            np.linalg.norm(lab(colours[one], sight) - lab(colours[other], sight))
        )
        for one, other in combinations(colours, 2)
        for sight in SIGHTS
    }
    nearest = min(distances, key=lambda key: distances[key])
    assert round(distances[nearest]) >= APART[theme], f"{nearest}: {distances[nearest]:.1f}"


def block(file: str, theme: str) -> dict[str, str]:
    """The colours of a theme in one of the page's tables."""
    (found,) = re.findall(rf"  {theme}: {{(.*?)}},", (WEB / file).read_text(), re.DOTALL)
    return dict(re.findall(r"(\w+): \"(#[0-9a-f]{6})\"", found))


@pytest.mark.parametrize("theme", APART)
def test_every_state_stands_out_from_the_ground(theme: str) -> None:
    grounds = block("lib/basemap.ts", theme)
    for name, colour in states(theme).items():
        for ground in GROUNDS:
            least = CONTRAST if ground in ("sea", "land") else 2.4
            assert contrast(colour, grounds[ground]) >= least, f"{name} on {ground}"


@pytest.mark.parametrize("theme", APART)
def test_lists_and_map_show_the_same_colours(theme: str) -> None:
    dark, light = (WEB / "app.css").read_text().split('[data-theme="light"]')
    css = dark if theme == "dark" else light.split("}")[0]
    for name, colour in states(theme).items():
        assert f"--{name}: {colour};" in css, name
