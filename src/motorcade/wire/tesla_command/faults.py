"""The faults of the protocol's own layer, a table: number and what it means to a client. No IO.

Source: `MessageFault_E` of universal_message.proto. Clients resynchronise on those of `RESYNC`,
because the answer carries the car's session info, and simply try again on those of `RETRY`.
"""

from enum import IntEnum
from typing import Final


class Fault(IntEnum):
    """`signedMessageStatus.signed_message_fault` of an answer."""

    NONE = 0
    BUSY = 1
    TIMEOUT = 2
    UNKNOWN_KEY_ID = 3  # the signer is not on the car's key list
    INACTIVE_KEY = 4
    INVALID_SIGNATURE = 5
    INVALID_TOKEN_OR_COUNTER = 6  # the counter was used before, or is too old to tell
    INSUFFICIENT_PRIVILEGES = 7  # the signer's role does not allow it
    INVALID_DOMAINS = 8
    INVALID_COMMAND = 9  # a command that this car does not know
    DECODING = 10
    INTERNAL = 11
    WRONG_PERSONALIZATION = 12
    BAD_PARAMETER = 13
    KEYCHAIN_IS_FULL = 14
    INCORRECT_EPOCH = 15  # the car has started anew since
    IV_INCORRECT_LENGTH = 16
    TIME_EXPIRED = 17
    NOT_PROVISIONED_WITH_IDENTITY = 18  # the car has no usable key of its own
    COULD_NOT_HASH_METADATA = 19
    TIME_TO_LIVE_TOO_LONG = 20
    REMOTE_ACCESS_DISABLED = 21
    REMOTE_SERVICE_ACCESS_DISABLED = 22
    COMMAND_REQUIRES_ACCOUNT_CREDENTIALS = 23
    REQUEST_MTU_EXCEEDED = 24
    RESPONSE_MTU_EXCEEDED = 25
    REPEATED_COUNTER = 26
    INVALID_KEY_HANDLE = 27
    REQUIRES_RESPONSE_ENCRYPTION = 28
    COMMAND_REQUIRES_PHYSICAL_PROXIMITY = 29


RESYNC: Final = frozenset(
    {
        Fault.INVALID_SIGNATURE,
        Fault.INVALID_TOKEN_OR_COUNTER,
        Fault.INCORRECT_EPOCH,
        Fault.TIME_EXPIRED,
        Fault.TIME_TO_LIVE_TOO_LONG,
    }
)
RETRY: Final = frozenset({Fault.BUSY, Fault.TIMEOUT, Fault.INTERNAL})
