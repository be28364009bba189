"""The short form of fuzzing: seeds of our own encoders and fixed mutations of them, in process.

`make fuzz` is the long one, guided by coverage. Here every run tries the same inputs.
"""

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.table import TARGETS
from tests.fuzz.target import Target

ROOT = Path(__file__).parents[2]
INTERESTING = bytes((0, 1, 0x7F, 0x80, 0xFF))
PLANTED_S = "20"


def mutated(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """`data` with a few bytes changed, put in, cut out, or taken from another input."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(found))
        kind = chance.randrange(5)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(found):
            found[at] = chance.choice(INTERESTING)
        elif kind == 2:
            found[at:at] = bytes((chance.randrange(256),)) * chance.randint(1, 3)
        elif kind == 3:
            del found[at : at + chance.randint(1, 8)]
        else:
            start = chance.randint(0, len(other))
            found[at:] = other[start : start + 100]
    return bytes(found)


@pytest.mark.parametrize("name", TARGETS)
def test_no_mutation_of_our_own_bytes_breaks_a_promise(name: str) -> None:
    target = TARGETS[name]
    every = target.seeds()
    for data in every:
        run(target, data)
    seeds = [data for data in every if len(data) <= 4 * target.bytes_max]
    chance = random.Random(1)
    for _ in range(target.mutations):
        run(target, mutated(chance.choice(seeds), chance.choice(seeds), chance))


def run(target: Target, data: bytes) -> None:
    try:
        target.run(data)
    except Exception as error:
        raise AssertionError(f"{target.name} on {data!r}: {error!r}") from error


PLANTED = {
    "a length that may reach one byte too far": (
        "mqtt-packets",
        "wire/mqtt/primitives.py",
        "if end > len(self._body):",
        "if end > len(self._body) + 1:",
    ),
    "a kernel that takes a packet identifier of zero": (
        "mqtt-publish-kernel",
        "wire/mqtt/kernels.py",
        "        if packet_id == 0:",
        "        if packet_id < 0:",
    ),
    "a place one beyond the list of names": (
        "signals-packed",
        "signals/packed.py",
        "int(signal.max()) >= NAMED + len(names)",
        "int(signal.max()) > NAMED + len(names)",
    ),
}
"""What is broken: (target, file, sound text, broken text)."""


@pytest.mark.parametrize("bug", PLANTED)
def test_guided_fuzzing_finds_a_planted_bug(bug: str, tmp_path: Path) -> None:
    name, file, sound, broken = PLANTED[bug]
    shutil.copytree(ROOT / "src", tmp_path / "src")
    path = tmp_path / "src" / "motorcade" / file
    text = path.read_text()
    assert text.count(sound) == 1
    path.write_text(text.replace(sound, broken))
    words = ["-m", "tests.fuzz", name, "--seconds", PLANTED_S]
    words += ["--directory", str(tmp_path / "fuzz")]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout
    assert "FOUND" in done.stdout


def test_guided_fuzzing_of_the_sound_parser_finds_nothing_and_counts(tmp_path: Path) -> None:
    name = "settings"
    words = ["-m", "tests.fuzz", name, "--seconds", "2", "--directory", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "nothing found" in done.stdout
    assert re.search(r"[1-9]\d* branches", done.stdout)
