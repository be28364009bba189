"""What can go wrong in the car, and whose fault it is."""


class VehicleError(Exception):
    """Any failure of the vehicle program; the text says what to do."""


class VehicleFileError(VehicleError):
    """`vehicle.json` cannot be used."""


class LinkError(VehicleError):
    """The connection ended or never began. The link tries again by itself."""


class LinkRefusedError(LinkError):
    """The server said no: wrong credentials, wrong certificate, banned."""


class RecordTooLargeError(VehicleError):
    """A record that could never be stored or sent."""
