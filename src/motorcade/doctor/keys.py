"""The deployment's keys and certificates: there, private, in pairs, in one chain, in their time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from motorcade.doctor.finding import Finding, Scene, StopError, fault, warning
from motorcade.identity.certificates import Certified
from motorcade.identity.errors import DamagedSecretError, SecretsError
from motorcade.identity.secrets import SecretsDirectory

NEEDED: Final = ("root_ca.pem", "vehicle_ca.pem", "server_ca.pem", "account_hash.key")
SOON_S: Final = 14 * 86_400
RESTORE: Final = "restore it from a backup (motorcade restore --help); there is no other copy"


def check_secrets(scene: Scene) -> Iterator[Finding]:
    """Every key is there and its owner's alone."""
    secrets = scene.data / "secrets"
    for name in NEEDED:
        if not (secrets / name).exists():
            raise StopError(fault(f"the key {secrets / name} is missing", RESTORE))
        try:
            SecretsDirectory(secrets).read(name)
        except DamagedSecretError as error:
            raise StopError(fault(str(error), RESTORE)) from error
        except SecretsError:
            pass  # open to others: told below
    for path in sorted(secrets.iterdir()):
        if path.stat().st_mode & 0o077:
            yield fault(
                f"others can read the key {path} (mode {path.stat().st_mode & 0o777:o})",
                f"chmod go= {path}; make new keys if others had access to this machine",
            )


def check_chain(scene: Scene) -> Iterator[Finding]:
    """Root, vehicle CA, server CA and the doors' certificate belong together."""
    secrets = scene.data / "secrets"
    root = _load(secrets / "root_ca.pem")
    ca_file = scene.data / "ca.pem"
    if not ca_file.exists() or ca_file.read_bytes() != root.certificate_pem:
        yield fault(
            f"{ca_file} is not the root of this deployment: clients that trust it refuse our doors",
            f"rm {ca_file} and start the platform: it writes the right one, for clients to trust",
        )
    issuing = [("vehicle CA", "vehicle_ca.pem"), ("server CA", "server_ca.pem")]
    for name, file in issuing:
        authority = _load(secrets / file)
        if not is_issued_by(authority.certificate, root.certificate):
            yield fault(
                f"the {name} ({secrets / file}) was not issued by this deployment's root",
                f"{RESTORE}: root_ca.pem, vehicle_ca.pem and server_ca.pem go together",
            )
        yield from _in_time(f"the {name}", authority.certificate, scene, RESTORE)
    yield from _server(scene, _load(secrets / "server_ca.pem").certificate)


def _server(scene: Scene, authority: x509.Certificate) -> Iterator[Finding]:
    path = scene.data / "secrets" / "server.pem"
    again = f"rm {path} and start the platform again: it makes a new one"
    if not path.exists():
        return  # the first start makes it
    server = _load(path, again)
    if not is_issued_by(server.certificate, authority):
        yield fault(f"the doors' certificate ({path}) is not of our server CA", again)
    yield from _in_time("the doors' certificate", server.certificate, scene, again)


def _load(path: Path, mend: str = RESTORE) -> Certified:
    try:
        certified = Certified.from_pem(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StopError(fault(f"the key {path} is damaged: {error}", mend)) from error
    if not is_pair(certified.certificate, certified.key.public_key()):
        what = f"the key and the certificate in {path} are no pair"
        raise StopError(fault(what, mend))
    return certified


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_pair(certificate: x509.Certificate, key: object) -> bool:
    """Whether the certificate is of this public key."""
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    own = certificate.public_key().public_bytes(*form)
    return bool(own == key.public_bytes(*form))  # type: ignore[attr-defined]


def _in_time(
    name: str, certificate: x509.Certificate, scene: Scene, mend: str
) -> Iterator[Finding]:
    now = datetime.fromtimestamp(scene.now_us / 1e6, UTC)
    until, since = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    if now < since:
        yield fault(
            f"the clock is wrong: {now:%Y-%m-%d %H:%M} UTC is before {name} was made "
            f"({since:%Y-%m-%d})",
            "set the clock: timedatectl set-ntp true",
        )
    elif now > until:
        yield fault(f"{name} expired on {until:%Y-%m-%d}", mend)
    elif (until - now).total_seconds() < SOON_S:
        yield warning(f"{name} expires on {until:%Y-%m-%d}", mend)
