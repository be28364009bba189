"""Who this deployment is: its certificate authority and its keys, made at the first start.

`DIR/secrets` holds every private key, `DIR/ca.pem` the root that clients verify us with::

    Motorcade Root CA
    ├── Motorcade Vehicle CA   client certificates, common name = VIN
    └── Motorcade Server CA    the certificate of our doors
"""

import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.x509 import Certificate, ObjectIdentifier

from motorcade.clock import Clock, SystemClock
from motorcade.config import IdentityConfig
from motorcade.identity import certificates
from motorcade.identity.certificates import Certified, Validity
from motorcade.identity.errors import DamagedSecretError, SecretsError
from motorcade.identity.port import VEHICLE_CA_NAME
from motorcade.identity.region import fleet_hosts
from motorcade.identity.secrets import SecretsDirectory, make_private, write_file

ROOT_CA_NAME: Final = "Motorcade Root CA"
SERVER_CA_NAME: Final = "Motorcade Server CA"
SERVER_NAMES: Final = ("localhost", "127.0.0.1", "::1")
ACCOUNT_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class VehicleCertificate:
    """What a vehicle proves itself with. The private key is not kept here."""

    certificate_pem: bytes  # the leaf, then the CA that issued it
    key_pem: bytes
    serial: str  # as the registry wants it
    expires_time_us: int


class Authority:
    """The keys of one data directory."""

    def __init__(
        self,
        data: Path,
        *,
        clock: Clock,
        entropy: Callable[[int], bytes],
        config: IdentityConfig,
    ) -> None:
        """Read the keys, making those that are missing. Raises `SecretsError`."""
        self.clock = clock
        self.config = config
        self._entropy = entropy
        make_private(data)
        self.secrets = SecretsDirectory(data.absolute() / "secrets")
        self._root = self._certified("root_ca.pem", self._make_root)
        self._vehicle_ca = self._issuing("vehicle_ca.pem", VEHICLE_CA_NAME, certificates.CLIENT)
        self._server_ca = self._issuing("server_ca.pem", SERVER_CA_NAME, certificates.SERVER)
        self.ca_file = data.absolute() / "ca.pem"
        if not self.ca_file.exists() or self.ca_file.read_bytes() != self.ca_pem:
            write_file(self.ca_file, self.ca_pem, mode=0o644)

    @property
    def ca_pem(self) -> bytes:
        """The root certificate: what clients verify our doors with."""
        return self._root.certificate_pem

    @property
    def vehicle_ca_pem(self) -> bytes:
        """What doors verify our vehicles with."""
        return self._vehicle_ca.certificate_pem + self._root.certificate_pem

    @property
    def server_file(self) -> Path:
        """Key, certificate and issuing CA of our doors, once `keep_server_certificate` ran."""
        return self.secrets.path("server.pem")

    def certificates(self) -> list[tuple[str, int]]:
        """Each of our own certificates by name, and when it expires (µs UTC). Reads a file."""
        named = [
            ("root CA", self._root.certificate),
            ("vehicle CA", self._vehicle_ca.certificate),
            ("server CA", self._server_ca.certificate),
        ]
        if self.server_file.exists():
            named.append(("doors", Certified.from_pem(self.server_file.read_bytes()).certificate))
        return [(name, _end_us(certificate)) for name, certificate in named]

    @property
    def account_key(self) -> bytes:
        """The key under which the registry hashes passwords."""
        name = "account_hash.key"
        key = self.secrets.read_or_make(name, lambda: self._entropy(ACCOUNT_KEY_BYTES))
        if len(key) != ACCOUNT_KEY_BYTES:
            raise DamagedSecretError(
                f"{self.secrets.path(name)} has {len(key)} bytes, not {ACCOUNT_KEY_BYTES}: restore "
                "it from a backup; without it no password fits"
            )
        return key

    def issue_vehicle(self, vin: str) -> VehicleCertificate:
        """A new client certificate. The registry must be told its serial number."""
        validity = self._validity(self.config.vehicle_certificate_s)
        serial = self._serial()
        leaf = certificates.issue(vin, certificates.CLIENT, self._vehicle_ca, serial, validity)
        return VehicleCertificate(
            leaf.certificate_pem + self._vehicle_ca.certificate_pem,
            leaf.key_pem,
            certificates.serial_text(serial),
            validity.end_us,
        )

    def keep_server_certificate(self, listen: str) -> None:
        """Make the doors' certificate anew if it is missing, ends soon, or names other places."""
        names = server_names(listen, self.config.server_names)
        names += [name for name in fleet_hosts(self.config) if name not in names]
        self.secrets.replace_unless(
            "server.pem", lambda pem: self._serves(pem, names), lambda: self._make_server(names)
        )

    def _serves(self, pem: bytes, names: list[str]) -> bool:
        try:
            certificate = Certified.from_pem(pem).certificate
        except ValueError:
            return False
        left_us = _end_us(certificate) - self.clock.now_us()
        named = certificates.alternative_names(certificate)
        return left_us > self.config.server_renew_s * 1_000_000 and named >= set(names)

    def _make_server(self, names: list[str]) -> bytes:
        validity = self._validity(self.config.server_certificate_s)
        leaf = certificates.issue(
            names[0], certificates.SERVER, self._server_ca, self._serial(), validity, names
        )
        return leaf.pem + self._server_ca.certificate_pem

    def _make_root(self) -> Certified:
        return certificates.make_root(
            ROOT_CA_NAME, self._serial(), self._validity(self.config.ca_s)
        )

    def _issuing(self, file: str, name: str, usage: ObjectIdentifier) -> Certified:
        validity = Validity(self._validity(0).start_us, _end_us(self._root.certificate))
        return self._certified(
            file,
            lambda: certificates.make_issuing(name, usage, self._root, self._serial(), validity),
        )

    def _certified(self, file: str, make: Callable[[], Certified]) -> Certified:
        pem = self.secrets.read_or_make(file, lambda: make().pem)
        try:
            return Certified.from_pem(pem)
        except ValueError as error:
            raise SecretsError(
                f"{self.secrets.path(file)} is damaged ({error}): restore it from a backup; "
                "without it every certificate issued so far is void"
            ) from error

    def _validity(self, seconds: int) -> Validity:
        now_us = self.clock.now_us()
        start_us = now_us - self.config.clock_skew_s * 1_000_000
        return Validity(start_us, now_us + seconds * 1_000_000)

    def _serial(self) -> int:
        """159 random bits: RFC 5280 §4.1.2.2 allows 20 octets, positive."""
        return (int.from_bytes(self._entropy(20), "big") >> 1) | 1


def open_authority(
    data: Path,
    listen: str | None = None,
    *,
    clock: Clock | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
    config: IdentityConfig | None = None,
) -> Authority:
    """Open the keys of a data directory; with `listen`, have a server certificate for it too.

    Raises:
        SecretsError: a file cannot be made or read, is damaged, or is open to others.
    """
    authority = Authority(
        data,
        clock=clock or SystemClock(),
        entropy=entropy,
        config=config or IdentityConfig(),
    )
    if listen is not None:
        authority.keep_server_certificate(listen)
    return authority


def server_names(listen: str, further: str = "") -> list[str]:
    """What a server that listens there may be called: a wildcard answers to the host's name.

    `further` is `config.identity.server_names`.
    """
    try:
        wildcard = ipaddress.ip_address(listen).is_unspecified
    except ValueError:
        wildcard = not listen
    own = socket.gethostname() if wildcard else listen
    added = [name.strip() for name in further.split(",") if name.strip()]
    return list(dict.fromkeys([*SERVER_NAMES, own, *added]))


def _end_us(certificate: Certificate) -> int:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    return int((certificate.not_valid_after_utc - start).total_seconds()) * 1_000_000
