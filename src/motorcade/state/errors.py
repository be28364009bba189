"""Why a past instant cannot be shown; each text says what to do."""


class PastError(Exception):
    """Any failure to show a past instant."""


class PastInstantError(PastError):
    """No state can be shown of this instant: it lies ahead, or before what is kept."""


class PastBusyError(PastError):
    """Too many past instants are open or being opened."""


class PastTimeoutError(PastError):
    """Opening the instant took longer than `past.open_s_max`."""
