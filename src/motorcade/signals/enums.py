"""Tesla's enumerations as data: what a number in a `Value` means, and how the sender spells it.

Source: protocol page §1.7. `alternative` is the field number inside `Value`'s oneof; an enum's full
names are `prefix` + name, as protobuf's JSON writes them; cars that send strings leave the prefix
out. The number of a name is its place. Names younger than the page are from the package
`tesla-protocol`. No behaviour here but look-up tables made from the rows.
"""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class TeslaEnum:
    alternative: int
    name: str
    prefix: str
    words: str  # the short names, by number from 0
    short_names: tuple[str, ...] = field(init=False)
    full_names: tuple[str, ...] = field(init=False)
    numbers: dict[str, int] = field(init=False, repr=False)  # by short and full name

    def __post_init__(self) -> None:
        short = tuple(self.words.split())
        full = tuple(self.prefix + word for word in short)
        numbers = {name: number for names in (short, full) for number, name in enumerate(names)}
        object.__setattr__(self, "short_names", short)
        object.__setattr__(self, "full_names", full)
        object.__setattr__(self, "numbers", numbers)

    def short_name(self, number: float) -> str | None:
        """The name without prefix; `None` for a number that this table lacks."""
        if not 0 <= number < len(self.short_names) or number != int(number):
            return None
        return self.short_names[int(number)]


ENUMS: Final[tuple[TeslaEnum, ...]] = (
    TeslaEnum(
        8,
        "ChargingState",
        "ChargeState",
        "Unknown Disconnected NoPower Starting Charging Complete Stopped",
    ),
    TeslaEnum(9, "ShiftState", "ShiftState", "Unknown Invalid P R N D SNA"),
    TeslaEnum(11, "LaneAssistLevel", "LaneAssistLevel", "Unknown None Warning Assist"),
    TeslaEnum(
        12, "ScheduledChargingModeValue", "ScheduledChargingMode", "Unknown Off StartAt DepartBy"
    ),
    TeslaEnum(13, "SentryModeState", "SentryModeState", "Unknown Off Idle Armed Aware Panic Quiet"),
    TeslaEnum(14, "SpeedAssistLevel", "SpeedAssistLevel", "Unknown None Display Chime"),
    TeslaEnum(
        15,
        "BMSStateValue",
        "BMSState",
        "Unknown Standby Drive Support Charge FEIM ClearFault Fault Weld Test SNA",
    ),
    TeslaEnum(16, "BuckleStatus", "BuckleStatus", "Unknown Unlatched Latched Faulted SNA"),
    TeslaEnum(
        17,
        "CarTypeValue",
        "CarType",
        "Unknown ModelS ModelX Model3 ModelY SemiTruck Cybertruck SemiTruckV2 Cybercab",
    ),
    TeslaEnum(18, "ChargePortValue", "ChargePort", "Unknown US EU GB CCS"),
    TeslaEnum(
        19, "ChargePortLatchValue", "ChargePortLatch", "Unknown SNA Disengaged Engaged Blocking"
    ),
    TeslaEnum(
        22,
        "DriveInverterState",
        "DriveInverterState",
        "Unknown Unavailable Standby Fault Abort Enable",
    ),
    TeslaEnum(23, "HvilStatus", "HvilStatus", "Unknown Fault OK"),
    TeslaEnum(24, "WindowState", "WindowState", "Unknown Closed PartiallyOpen Opened"),
    TeslaEnum(
        25,
        "SeatFoldPosition",
        "SeatFoldPosition",
        "Unknown SNA Faulted NotConfigured Folded Unfolded",
    ),
    TeslaEnum(
        26,
        "TractorAirStatus",
        "TractorAirStatus",
        "Unknown NotAvailable Error Charged BuildingPressureIntermediate "
        "ExhaustingPressureIntermediate Exhausted",
    ),
    TeslaEnum(27, "FollowDistance", "FollowDistance", "Unknown 1 2 3 4 5 6 7"),
    TeslaEnum(
        28,
        "ForwardCollisionSensitivity",
        "ForwardCollisionSensitivity",
        "Unknown Off Late Average Early",
    ),
    TeslaEnum(
        29,
        "GuestModeMobileAccess",
        "GuestModeMobileAccess",
        "Unknown Init NotAuthenticated Authenticated AbortedDriving AbortedUsingRemoteStart "
        "AbortedUsingBLEKeys AbortedValetMode AbortedGuestModeOff "
        "AbortedDriveAuthTimeExceeded AbortedNoDataReceived RequestingFromMothership "
        "RequestingFromAuthD AbortedFetchFailed AbortedBadDataReceived ShowingQRCode "
        "SwipedAway DismissedQRCodeExpired SucceededPairedNewBLEKey",
    ),
    TeslaEnum(
        30,
        "TrailerAirStatus",
        "TrailerAirStatus",
        "Unknown SNA Invalid BobtailMode Charged BuildingPressureIntermediate "
        "ExhaustingPressureIntermediate Exhausted",
    ),
    TeslaEnum(
        32,
        "DetailedChargeStateValue",
        "DetailedChargeState",
        "Unknown Disconnected NoPower Starting Charging Complete Stopped Calibrating",
    ),
    TeslaEnum(33, "HvacAutoModeState", "HvacAutoModeState", "Unknown On Override"),
    TeslaEnum(
        34,
        "CabinOverheatProtectionModeState",
        "CabinOverheatProtectionModeState",
        "Unknown Off On FanOnly",
    ),
    TeslaEnum(
        35,
        "ClimateOverheatProtectionTempLimit",
        "ClimateOverheatProtectionTempLimit",
        "Unknown High Medium Low",
    ),
    TeslaEnum(36, "DefrostModeState", "DefrostModeState", "Unknown Off Normal Max AutoDefog"),
    TeslaEnum(37, "ClimateKeeperModeState", "ClimateKeeperModeState", "Unknown Off On Dog Party"),
    TeslaEnum(
        38, "HvacPowerState", "HvacPowerState", "Unknown Off On Precondition OverheatProtect"
    ),
    TeslaEnum(
        40,
        "FastCharger",
        "FastCharger",
        "Unknown Supercharger CHAdeMO GB ACSingleWireCAN Combo MCSingleWireCAN Other SNA",
    ),
    TeslaEnum(41, "CableType", "CableType", "Unknown IEC SAE GB_AC GB_DC SNA"),
    TeslaEnum(
        42, "TonneauTentModeState", "TonneauTentModeState", "Unknown Inactive Moving Failed Active"
    ),
    TeslaEnum(
        43,
        "TonneauPositionState",
        "TonneauPositionState",
        "Unknown Invalid Closed PartiallyOpen FullyOpen",
    ),
    TeslaEnum(44, "PowershareTypeStatus", "PowershareTypeStatus", "Unknown None Load Home"),
    TeslaEnum(
        45,
        "PowershareState",
        "PowershareState",
        "Unknown Inactive Handshaking Init Enabled EnabledReconnectingSoon Stopped",
    ),
    TeslaEnum(
        46,
        "PowershareStopReasonStatus",
        "PowershareStopReasonStatus",
        "Unknown None SOCTooLow Retry Fault User Reconnecting Authentication",
    ),
    TeslaEnum(
        47,
        "DisplayState",
        "DisplayState",
        "Unknown Off Dim Accessory On Driving Charging Lock Sentry Dog Entertainment",
    ),
    TeslaEnum(48, "DistanceUnit", "DistanceUnit", "Unknown Miles Kilometers"),
    TeslaEnum(49, "TemperatureUnit", "TemperatureUnit", "Unknown Fahrenheit Celsius"),
    TeslaEnum(50, "PressureUnit", "PressureUnit", "Unknown Psi Bar"),
    TeslaEnum(51, "ChargeUnitPreference", "ChargeUnit", "Unknown Distance Percent"),
    TeslaEnum(52, "TurnSignalState", "TurnSignalState", "Unknown Off Left Right Both"),
    TeslaEnum(53, "MediaStatus", "MediaStatus", "Unknown Stopped Playing Paused"),
    TeslaEnum(
        54,
        "SunroofInstalledState",
        "SunroofInstalledState",
        "Unknown NotInstalled Gen1Installed Gen2Installed",
    ),
)

ENUM_OF: Final[dict[str, TeslaEnum]] = {row.name: row for row in ENUMS}
ENUM_BY_ALTERNATIVE: Final[dict[int, TeslaEnum]] = {row.alternative: row for row in ENUMS}
