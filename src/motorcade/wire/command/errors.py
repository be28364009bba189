"""What a command message can be refused for. No other exception leaves this package's readers."""


class CommandCodecError(ValueError):
    """Any refusal of bytes by `wire/command`; the text says what, and never quotes the bytes."""


class MessageTooLargeError(CommandCodecError):
    """Longer than the limit; told from the length alone, nothing of it was parsed."""


class MalformedMessageError(CommandCodecError):
    """Not JSON, not one of our messages, or a field outside its type or range."""


class SignatureError(CommandCodecError):
    """Unknown `key_id`, no signature, or one that does not fit: whoever sent it, not our cloud."""


class WrongVehicleError(CommandCodecError):
    """Authentic, but signed for another vehicle: replayed or delivered to the wrong session."""
