"""Why a command is not taken. What is taken never raises: it ends in a state."""


class CommandError(Exception):
    """Any refusal before a command exists; nothing was stored, nothing will happen."""


class UnknownCommandError(CommandError):
    """No row of that name in `table.py`."""


class InvalidParameterError(CommandError):
    """A parameter is missing, of the wrong type or out of range; `field` names it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field


class IdempotencyMismatchError(CommandError):
    """The account used this idempotency key before, for another request."""


class TooManyCommandsError(CommandError):
    """This vehicle has as many commands under way, or without an outcome, as are allowed."""

    def __init__(self, text: str, retry_s: int) -> None:
        super().__init__(text)
        self.retry_s = retry_s


class RouterFullError(CommandError):
    """The disk has no room for a new command; those under way go on."""


class RouterBusyError(CommandError):
    """The router is full, behind, starting or stopping: no fault of the caller."""
