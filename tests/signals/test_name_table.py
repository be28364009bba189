"""Names and numbers for the kernels: growth, salts, and names that find no place."""

import numpy as np

from motorcade.signals.name_table import NameTable
from motorcade.signals.text.kernels import PROBES_MAX, find_name, place_of


def find(names: NameTable, name: str, salt: int = 0) -> int:
    data = np.frombuffer(name.encode(), np.uint8)
    return int(find_name(data, 0, len(data), salt, names.words, names.table))


def test_every_name_is_found_after_the_table_has_grown() -> None:
    names = NameTable()
    entered = [name for name in (f"signal_{n}" for n in range(5_000)) if names.add(name, len(name))]
    assert len(entered) > 4_990
    assert all(find(names, name) == len(name) for name in entered)
    assert find(names, "signal_5000") == find(names, "signal") == -1


def test_a_salt_tells_the_same_name_apart() -> None:
    names = NameTable()
    assert all(names.add("Unknown", salt, salt=salt) for salt in range(60))
    assert [find(names, "Unknown", salt) for salt in range(61)] == [*range(60), -1]


def test_names_that_crowd_one_place_stay_out_and_look_ups_short() -> None:
    names = NameTable()
    taken = np.arange(PROBES_MAX)
    home = np.uint64(place_of.py_func(np.uint64(0), 0, names.table))
    names.table[(home + taken.astype(np.uint64)) % len(names.table), 2] = 1
    names.table[:, 0] = 1  # of another hash
    crowded = next(n for n in range(10**6) if _home(names, f"n{n}") == int(home))
    assert not names.add(f"n{crowded}", 7)
    assert find(names, f"n{crowded}") == -1


def _home(names: NameTable, name: str) -> int:
    from motorcade.events import fnv1a_64

    with np.errstate(over="ignore"):
        return int(place_of.py_func(np.uint64(fnv1a_64(name.encode())), 0, names.table))


def test_the_empty_name_is_no_name() -> None:
    assert not NameTable().add("", 1)
