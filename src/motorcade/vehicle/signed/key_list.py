"""Changes of the key list: who may make which, and what VCSEC answers. Writes the keychain.

Over the cloud a key comes in by an owner's key, or by the platform's approval (`approve`), which
stands for the owner at the car's screen. Fleet managers manage no keys; service takes keys out, and
puts none in.
"""

from typing import Final

from tesla_protocol.command.vcsec_pb2 import (
    CommandStatus,
    FromVCSECMessage,
    InformationRequest,
    WhitelistEntryInfo,
    WhitelistInfo,
    WhitelistOperation,
    WhitelistOperation_status,
)

from motorcade.vehicle.signed.keychain import Keychain, KeychainFullError, KeyEntry
from motorcade.vehicle.signed.roles import ROLE_NAMES, ROLE_NUMBERS
from motorcade.wire.tesla_command.errors import InvalidPublicKeyError
from motorcade.wire.tesla_command.keys import key_identifier, read_public

DONE: Final = 0  # WhitelistOperation_information_E, all of these
FAILED: Final = 1
NOT_ONESELF: Final = 2
LIST_FULL: Final = 4
MAY_NOT_ADD: Final = 5
INVALID_KEY: Final = 6
MAY_NOT_REMOVE: Final = 7
MAY_NOT_CHANGE: Final = 8
NOT_ON_LIST: Final = 12
ON_LIST_ALREADY: Final = 13
FM_ADDS: Final = 16
FM_REMOVES: Final = 17
NO_ROLE: Final = 19
SERVICE_ROLE: Final = 20

_GENERIC_KEY_NOT_FOUND: Final = 8  # GenericError_E
_GENERIC_NOT_SUPPORTED: Final = 9
_REMOVED_BY_SERVICE: Final = frozenset({"DRIVER", "GUEST", "FM"})
_NEVER_ADDED: Final = frozenset({"SERVICE", "SERVICE_TECH", "RIDER", "PREDELIVERY", "INFOTAINMENT"})


def tell(keychain: Keychain, request: InformationRequest) -> FromVCSECMessage | None:
    """What VCSEC says of its key list; `None` if that was not asked."""
    answer = FromVCSECMessage()
    match int(request.informationRequestType):
        case 5:  # GET_WHITELIST_INFO
            answer.whitelistInfo.CopyFrom(_summary(keychain))
        case 6:  # GET_WHITELIST_ENTRY_INFO
            entry = _asked(keychain, request)
            if entry is None:
                answer.nominalError.genericError = _GENERIC_KEY_NOT_FOUND  # type: ignore[assignment]
            else:
                answer.whitelistEntryInfo.CopyFrom(_entry(entry))
        case _:
            return None
    return answer


def change(keychain: Keychain, operation: WhitelistOperation, signer: KeyEntry) -> FromVCSECMessage:
    """Do what an owner's or a service key asks of the key list. Raises `OSError`."""
    kind = operation.WhichOneof("sub_message") or ""
    form_factor = int(operation.metadataForKey.keyFormFactor)
    match kind:
        case "addKeyToWhitelistAndAddPermissions":
            wanted = operation.addKeyToWhitelistAndAddPermissions
            role = ROLE_NAMES.get(int(wanted.keyRole), "NONE")
            code = _add(keychain, wanted.key.PublicKeyRaw, role, form_factor, signer)
        case "updateKeyAndPermissions" | "addPermissionsToPublicKey":
            wanted = getattr(operation, kind)
            role = ROLE_NAMES.get(int(wanted.keyRole), "NONE")
            code = _change(keychain, wanted.key.PublicKeyRaw, role, form_factor, signer)
        case "removePublicKeyFromWhitelist":
            public = operation.removePublicKeyFromWhitelist.PublicKeyRaw
            code = _remove(keychain, public, signer)
        case _:
            unsupported = FromVCSECMessage()
            unsupported.nominalError.genericError = _GENERIC_NOT_SUPPORTED  # type: ignore[assignment]
            return unsupported
    return _answer(code, signer)


def approve(keychain: Keychain, public_key: bytes, role: str, form_factor: int) -> int:
    """The owner agreed, away from the car. Raises `OSError`."""
    if role not in ROLE_NUMBERS or role == "NONE":
        return NO_ROLE
    return _put(keychain, public_key, role, form_factor)


def _add(
    keychain: Keychain, public_key: bytes, role: str, form_factor: int, signer: KeyEntry
) -> int:
    if signer.role != "OWNER":
        return FM_ADDS if signer.role == "FM" else MAY_NOT_ADD
    if role == "NONE":
        return NO_ROLE
    if role in _NEVER_ADDED:
        return SERVICE_ROLE
    if keychain.find(public_key) is not None:
        return ON_LIST_ALREADY
    return _put(keychain, public_key, role, form_factor)


def _change(
    keychain: Keychain, public_key: bytes, role: str, form_factor: int, signer: KeyEntry
) -> int:
    known = keychain.find(public_key)
    if signer.role != "OWNER":
        return MAY_NOT_CHANGE
    if known is None:
        return NOT_ON_LIST
    if role == "NONE":
        return NO_ROLE
    if role in _NEVER_ADDED or known.public_key == signer.public_key:
        return MAY_NOT_CHANGE
    return _put(keychain, public_key, role, form_factor or known.form_factor)


def _put(keychain: Keychain, public_key: bytes, role: str, form_factor: int) -> int:
    try:
        read_public(public_key)
        keychain.put(public_key, role, form_factor)
    except InvalidPublicKeyError:
        return INVALID_KEY
    except KeychainFullError:
        return LIST_FULL
    return DONE


def _remove(keychain: Keychain, public_key: bytes, signer: KeyEntry) -> int:
    if signer.role not in ("OWNER", "SERVICE"):
        return FM_REMOVES if signer.role == "FM" else MAY_NOT_REMOVE
    known = keychain.find(public_key)
    if known is None:
        return NOT_ON_LIST
    if known.public_key == signer.public_key:
        return NOT_ONESELF
    if signer.role == "SERVICE" and known.role not in _REMOVED_BY_SERVICE:
        return MAY_NOT_REMOVE
    keychain.remove(public_key)
    return DONE


def _answer(code: int, signer: KeyEntry) -> FromVCSECMessage:
    failed = 0 if code == DONE else 2  # OPERATIONSTATUS_OK, _ERROR
    operation = WhitelistOperation_status(
        whitelistOperationInformation=code,  # type: ignore[arg-type]
        operationStatus=failed,  # type: ignore[arg-type]
    )
    operation.signerOfOperation.publicKeySHA1 = key_identifier(bytes.fromhex(signer.public_key))
    status = CommandStatus(operationStatus=failed, whitelistOperationStatus=operation)  # type: ignore[arg-type]
    return FromVCSECMessage(commandStatus=status)


def _summary(keychain: Keychain) -> WhitelistInfo:
    info = WhitelistInfo(numberOfEntries=len(keychain))
    for entry in keychain:
        info.slotMask |= 1 << entry.slot
        identifier = key_identifier(bytes.fromhex(entry.public_key))
        info.whitelistEntries.add(publicKeySHA1=identifier)
    return info


def _asked(keychain: Keychain, request: InformationRequest) -> KeyEntry | None:
    match request.WhichOneof("key"):
        case "publicKey":
            return keychain.find(request.publicKey)
        case "keyId":
            wanted = request.keyId.publicKeySHA1
            return next((e for e in keychain if _identifier(e) == wanted), None)
        case _:  # slot 0 is what a request without a slot means
            return next((e for e in keychain if e.slot == request.slot), None)


def _identifier(entry: KeyEntry) -> bytes:
    return key_identifier(bytes.fromhex(entry.public_key))


def _entry(entry: KeyEntry) -> WhitelistEntryInfo:
    info = WhitelistEntryInfo(slot=entry.slot, keyRole=ROLE_NUMBERS[entry.role])  # type: ignore[arg-type]
    info.keyId.publicKeySHA1 = _identifier(entry)
    info.publicKey.PublicKeyRaw = bytes.fromhex(entry.public_key)
    info.metadataForKey.keyFormFactor = entry.form_factor  # type: ignore[assignment]
    return info
