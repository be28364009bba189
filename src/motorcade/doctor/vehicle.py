"""One vehicle's files (`--vehicle`): its key, certificate and account fit this deployment."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from motorcade.clock import SystemClock
from motorcade.doctor.directory import REGISTRY_FILE
from motorcade.doctor.finding import Finding, Scene, fault
from motorcade.doctor.keys import is_issued_by, is_pair
from motorcade.identity.certificates import serial_text
from motorcade.identity.errors import SecretsError
from motorcade.identity.secrets import SecretsDirectory
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.vehicle.errors import VehicleFileError
from motorcade.vehicle.vehicle_file import VehicleFile, read_vehicle_file


def check_vehicle(scene: Scene) -> Iterator[Finding]:
    """What the vehicle holds is what we gave it, and still good."""
    if scene.vehicle_file is None:
        return
    renew = (
        f"motorcade vehicle renew VIN --data {scene.data} --out NEWDIR, and hand it the new files"
    )
    try:
        car = read_vehicle_file(scene.vehicle_file)
        chain = x509.load_pem_x509_certificates(car.cert_file.read_bytes())
        key = serialization.load_pem_private_key(car.key_file.read_bytes(), None)
    except (OSError, ValueError, VehicleFileError) as error:
        yield fault(f"the vehicle's files cannot be read: {error}", renew)
        return
    leaf = chain[0]
    authority = x509.load_pem_x509_certificate(
        (scene.data / "secrets" / "vehicle_ca.pem").read_bytes()
    )
    if not is_pair(leaf, key.public_key()):
        yield fault(f"the vehicle's key {car.key_file} is not that of its certificate", renew)
    if not is_issued_by(leaf, authority):
        yield fault(
            f"the vehicle's certificate {car.cert_file} was issued by another deployment", renew
        )
        return
    if leaf.not_valid_after_utc.timestamp() * 1e6 < scene.now_us:
        yield fault(f"the vehicle's certificate expired on {leaf.not_valid_after_utc:%F}", renew)
    if car.ca_file.read_bytes() != (scene.data / "ca.pem").read_bytes():
        yield fault(
            f"the vehicle trusts another root than ours: {car.ca_file}",
            f"cp {scene.data / 'ca.pem'} {car.ca_file}",
        )
    yield from _known(scene, car, leaf, renew)
    yield from _addresses(scene, car)


def _known(scene: Scene, car: VehicleFile, leaf: x509.Certificate, renew: str) -> Iterator[Finding]:
    try:
        account_key = SecretsDirectory(scene.data / "secrets").read("account_hash.key")
    except SecretsError:
        return  # the link `keys` has said what is wrong with it
    registry = EmbeddedRegistry(
        scene.data / REGISTRY_FILE,
        account_key=account_key,
        clock=SystemClock(),
        config=scene.config.registry,
    )
    try:
        vehicle = registry.vehicle_by_token(car.token)
        if vehicle is None:
            yield fault(
                f"the vehicle {car.token} is not registered here, or was removed",
                f"motorcade vehicle add --data {scene.data} --vin VIN --out NEWDIR",
            )
            return
        if registry.principal_of_vin(vehicle.vin, serial_text(leaf.serial_number)) is None:
            yield fault(
                f"the vehicle's certificate {car.cert_file} was replaced by a newer one", renew
            )
        if registry.authenticate(car.mqtt.username, car.mqtt.password.encode()) is None:
            yield fault("the vehicle's MQTT password was replaced by a newer one", renew)
    finally:
        registry.close()


def _addresses(scene: Scene, car: VehicleFile) -> Iterator[Finding]:
    if not scene.runs or scene.ready is None:
        return
    for name, address in car.servers.items():
        place = scene.ready.get(name) or {}
        if place.get("port") not in (None, address.port):
            yield fault(
                f"the vehicle looks for {name} at port {address.port}, the server has it at "
                f"{place['port']}",
                "start the platform with fixed ports (without --ports auto), or hand the vehicle "
                "the right address",
            )
            return
