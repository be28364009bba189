"""What bytes of the vehicle-command protocol can be refused for."""


class TeslaCommandError(ValueError):
    """Any refusal of bytes by `wire/tesla_command`; the text says what, and never quotes them."""


class MalformedMessageError(TeslaCommandError):
    """No RoutableMessage, or one that nobody could route or answer."""


class InvalidPublicKeyError(TeslaCommandError):
    """Not the 65 bytes of an uncompressed point of P-256."""


class InvalidTokenError(TeslaCommandError):
    """A signed configuration whose form, signature or claims are not as they must be."""
