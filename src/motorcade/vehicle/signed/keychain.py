"""The car's own keys, one per domain, and its list of the keys it obeys; on disk, at once.

Clients pin a domain's key: a car that drew a new one would be dead to all of them. So the file is
replaced whole, durably, before anything is answered that follows from it; and one that is damaged
is told and left alone: the car then has no identity, until somebody restores the file or removes
it on purpose. Keys of a domain are drawn when they are first needed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from motorcade.vehicle.checked import decode_checked, write_checked
from motorcade.vehicle.disk import Disk
from motorcade.wire.command.messages import KEYS_MAX
from motorcade.wire.tesla_command.keys import PRIVATE_SEED_BYTES, make_private_key

_FILE: Final = "keychain"


class KeyEntry(msgspec.Struct, frozen=True):
    """One key that the car obeys."""

    slot: Annotated[int, msgspec.Meta(ge=0, lt=KEYS_MAX)]  # free ones are given again
    public_key: str  # hex of the 65 bytes of an uncompressed point
    role: str  # a name of `roles.ROLE_NUMBERS`
    form_factor: int  # `VCSEC.KeyFormFactor`


class _File(msgspec.Struct, frozen=True):
    seeds: dict[str, str]  # domain number: hex, what its private key is made of
    keys: list[KeyEntry]


class KeychainFullError(Exception):
    """Every slot is taken."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    seed: str
    key: ec.EllipticCurvePrivateKey


class Keychain:
    """One car's. Methods that change it return when the change is on disk, or raise `OSError`."""

    def __init__(self, disk: Disk, *, entropy: Callable[[int], bytes], keys_max: int) -> None:
        self._disk = disk
        self._entropy = entropy
        self._keys_max = keys_max
        self._drawn: dict[int, _Drawn] = {}
        self._by_public: dict[str, KeyEntry] = {}
        self.damage = ""  # what was found at opening; then nothing can be signed or checked
        self._load()

    def __iter__(self) -> Iterator[KeyEntry]:
        """Every key, by slot."""
        return iter(sorted(self._by_public.values(), key=lambda entry: entry.slot))

    def __len__(self) -> int:
        return len(self._by_public)

    def find(self, public_key: bytes) -> KeyEntry | None:
        """The entry of a key."""
        return self._by_public.get(public_key.hex())

    def private(self, domain: int) -> ec.EllipticCurvePrivateKey:
        """The car's own key of a domain."""
        assert not self.damage
        if domain not in self._drawn:
            seed = self._entropy(PRIVATE_SEED_BYTES)
            drawn = _Drawn(seed.hex(), make_private_key(seed))
            self._write({**self._drawn, domain: drawn}, self._by_public)
        return self._drawn[domain].key

    def put(self, public_key: bytes, role: str, form_factor: int, slot: int | None = None) -> None:
        """Add a key, or change what is known of it. It stands in `slot`, or keeps its own, or
        takes the first that is free.

        Raises:
            KeychainFullError: no slot is free.
        """
        known = self._by_public.get(public_key.hex())
        if slot is None:
            slot = known.slot if known is not None else self._free_slot()
        others = {name: e for name, e in self._by_public.items() if e.slot != slot}
        entry = KeyEntry(slot, public_key.hex(), role, form_factor)
        if entry != known:
            self._write(self._drawn, {**others, entry.public_key: entry})

    def remove(self, public_key: bytes) -> bool:
        """Forget a key; False if it was not there."""
        if public_key.hex() not in self._by_public:
            return False
        rest = {name: e for name, e in self._by_public.items() if name != public_key.hex()}
        self._write(self._drawn, rest)
        return True

    def _free_slot(self) -> int:
        taken = {entry.slot for entry in self._by_public.values()}
        for slot in range(self._keys_max):
            if slot not in taken:
                return slot
        raise KeychainFullError(f"all {self._keys_max} slots of the key list are taken")

    def _write(self, drawn: dict[int, _Drawn], keys: dict[str, KeyEntry]) -> None:
        seeds = {str(domain): one.seed for domain, one in drawn.items()}
        text = msgspec.json.encode(_File(seeds, list(keys.values())))
        self._disk.replace(_FILE, write_checked(text))
        self._drawn, self._by_public = drawn, keys

    def _load(self) -> None:
        data = self._disk.read(_FILE)
        if not data:
            return
        try:
            file: _File = decode_checked(data, _File)
            for number, seed in file.seeds.items():
                key = make_private_key(bytes.fromhex(seed))
                self._drawn[int(number)] = _Drawn(seed, key)
            self._by_public = {entry.public_key: entry for entry in file.keys}
            if len({entry.slot for entry in file.keys}) < len(file.keys):
                raise ValueError("two keys in one slot")
        except (ValueError, AssertionError):
            self._drawn, self._by_public = {}, {}
            self.damage = (
                f"{self._disk.where(_FILE)} is damaged: signed commands are refused until it is "
                "restored; removing it gives the car new keys, and every client must pair anew"
            )
