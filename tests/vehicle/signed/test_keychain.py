"""The car's keys outlive it: durable, whole or not at all, told when damaged."""

import contextlib

import msgspec
import pytest

from motorcade.vehicle.checked import write_checked
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.signed.keychain import Keychain, KeychainFullError, KeyEntry
from tests.vehicle.cloud import counting_entropy
from tests.vehicle.faulty_disk import FaultyDisk, PowerCutError
from tests.vehicle.signed.car import SignedCar, Signer, fault, public


def chain(disk: MemoryDisk, seed: int = 1, keys_max: int = 20) -> Keychain:
    return Keychain(disk, entropy=counting_entropy(seed), keys_max=keys_max)


def test_keys_and_list_are_there_again() -> None:
    disk = MemoryDisk()
    first = chain(disk)
    private = first.private(3).private_numbers()
    first.put(public(2), "OWNER", 9)
    again = chain(disk, seed=5)
    assert again.private(3).private_numbers() == private
    assert list(again) == list(first)
    assert again.private(2).private_numbers() != private
    assert chain(disk, seed=6).private(2).private_numbers() == again.private(2).private_numbers()


def test_slots_are_given_again_and_run_out() -> None:
    keys = chain(MemoryDisk(), keys_max=2)
    keys.put(public(2), "OWNER", 9)
    keys.put(public(3), "DRIVER", 9)
    with pytest.raises(KeychainFullError):
        keys.put(public(4), "DRIVER", 9)
    assert keys.remove(public(2))
    assert not keys.remove(public(2))
    keys.put(public(4), "DRIVER", 9)
    assert [(entry.slot, entry.public_key) for entry in keys] == [
        (0, public(4).hex()),
        (1, public(3).hex()),
    ]
    keys.put(public(4), "OWNER", 6)  # known: changed in its place
    entry = keys.find(public(4))
    assert entry is not None
    assert (entry.slot, entry.role, entry.form_factor) == (0, "OWNER", 6)


@pytest.mark.parametrize("at", range(0, 40, 5))
def test_damage_is_told_and_no_key_is_drawn_anew(at: int) -> None:
    car = SignedCar()
    car.pair(2)
    Signer(car).greet()
    car.disk.files["keychain"][at] ^= 1
    again = SignedCar(car.disk, seed=9)
    assert "keychain" in again.keychain.damage
    before = bytes(car.disk.files["keychain"])
    signer = Signer(again)
    assert fault(signer.greet()) == 18
    assert bytes(car.disk.files["keychain"]) == before


@pytest.mark.parametrize("slots", [(32,), (-1,), (1 << 40,), (3, 3)])
def test_slots_that_no_key_list_has_are_damage(slots: tuple[int, ...]) -> None:
    """VCSEC's mask has 32 bits: a car that loaded such a list could not tell it."""
    disk = MemoryDisk()
    keys = [KeyEntry(slot, public(2 + n).hex(), "OWNER", 9) for n, slot in enumerate(slots)]
    text = msgspec.json.encode({"seeds": {}, "keys": keys})
    disk.files["keychain"] = bytearray(write_checked(text))
    assert "damaged" in chain(disk).damage
    assert len(chain(disk)) == 0


@pytest.mark.parametrize("cut_at", [1, 2, 3])
def test_a_power_cut_leaves_the_old_list_or_the_new(cut_at: int) -> None:
    disk = FaultyDisk(cut_at=cut_at)
    keys = chain(disk)
    written = 0
    with contextlib.suppress(PowerCutError):
        for number in (2, 3, 4, 5):
            keys.put(public(number), "OWNER", 9)
            written += 1
    assert written == cut_at - 1
    assert len(keys) == written  # what was not stored is not known either
    for seed in range(8):
        again = chain(FaultyDisk(disk.after_cut(seed)))
        assert again.damage == ""
        assert len(again) in (written, written + 1)


def test_nothing_is_written_for_what_is_there_already() -> None:
    disk = FaultyDisk()
    keys = chain(disk)
    for _ in range(3):
        keys.put(public(2), "OWNER", 9)
        keys.private(3)
    assert disk.changes == 2
