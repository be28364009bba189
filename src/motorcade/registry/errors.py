"""What can go wrong in the registry, and whose fault it is."""


class RegistryError(Exception):
    """Any failure of the registry. Engines wrap their own errors in one of these."""


class InvalidVinError(RegistryError):
    """The caller's: not a VIN by ISO 3779; the text says what is wrong with it."""


class InvalidNameError(RegistryError):
    """The caller's: a name, address, password, key or filter that cannot be; the text says why."""


class AlreadyExistsError(RegistryError):
    """The caller's: something of that name is here already; nothing was added."""


class NotFoundError(RegistryError):
    """The caller's: no such vehicle, operator, person, app or grant."""


class TooManyError(RegistryError):
    """The caller's: one more than a limit allows; the text says which and what to do."""


class LastAdminError(RegistryError):
    """The caller's: nobody would be left who may give roles; the text says who it is about."""


class RegistryUnavailableError(RegistryError):
    """The machine's: the file is locked, full, damaged or of a newer version."""
