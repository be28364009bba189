"""The table of signals: change, add or look up a signal here and nowhere else.

Tesla's Fields first, whose id is the Field's number (protocol page §1.7; units from Tesla's public
list of telemetry fields). Then the components of compound Fields, then what our own vehicles and
any other sender may use. Ids are stored in logs and sent by vehicles: never reuse or move one.
Ids from 4,096 on belong to names that no table knows (`samples.Dictionary`).
"""

from typing import Any, Final

from motorcade.signals.enums import ENUM_OF
from motorcade.signals.signal import (
    BAR,
    HOUR,
    KILO,
    KWH,
    MILE,
    MILLI,
    MINUTE,
    MPH,
    RPM,
    Kind,
    Privacy,
    Signal,
)

NONE: Final = Privacy.NONE
BEHAVIOUR: Final = Privacy.BEHAVIOUR
LOCATION: Final = Privacy.LOCATION
MEDIA: Final = Privacy.MEDIA
PERSONAL: Final = Privacy.PERSONAL

HOT: Final = frozenset(
    [
        "charge_state",
        "vehicle_speed",
        "odometer",
        "pack_voltage",
        "pack_current",
        "soc",
        "gear",
        "pedal_position",
        "brake_pedal",
        "gps_heading",
        "rated_range",
        "dc_charging_power",
        "ac_charging_power",
        "charge_limit_soc",
        "est_battery_range",
        "battery_level",
        "time_to_full_charge",
        "charge_amps",
        "locked",
        "sentry_mode",
        "tpms_pressure_fl",
        "tpms_pressure_fr",
        "tpms_pressure_rl",
        "tpms_pressure_rr",
        "inside_temp",
        "outside_temp",
        "lateral_acceleration",
        "longitudinal_acceleration",
        "energy_remaining",
        "detailed_charge_state",
        "charger_voltage",
        "hvac_left_temperature_request",
        "hvac_power",
        "hvac_right_temperature_request",
        "latitude",
        "longitude",
        "door_driver_front_open",
        "door_driver_rear_open",
        "door_passenger_front_open",
        "door_passenger_rear_open",
        "trunk_front_open",
        "trunk_rear_open",
        "drive_power",
        "climate_on",
        # What a car's state on the page is judged by: read of all cars at once, twice a second.
        "asleep",
        "software_update_installation_percent_complete",
        "bms_state",
        "hvil",
        "tpms_hard_warning_front_left",
        "tpms_hard_warning_front_right",
        "tpms_hard_warning_rear_left",
        "tpms_hard_warning_rear_right",
    ]
)
"""Dense columns in live state, 16 bytes per vehicle each: what nearly every vehicle sends often."""

VSS: Final[dict[str, str]] = {
    "vehicle_speed": "Vehicle.Speed",
    "odometer": "Vehicle.TraveledDistance",
    "pack_voltage": "Vehicle.Powertrain.TractionBattery.CurrentVoltage",
    "pack_current": "Vehicle.Powertrain.TractionBattery.CurrentCurrent",
    "soc": "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current",
    "gear": "Vehicle.Powertrain.Transmission.CurrentGear",
    "pedal_position": "Vehicle.Chassis.Accelerator.PedalPosition",
    "gps_heading": "Vehicle.CurrentLocation.Heading",
    "charge_limit_soc": "Vehicle.Powertrain.TractionBattery.Charging.ChargeLimit",
    "est_battery_range": "Vehicle.Powertrain.TractionBattery.Range",
    "time_to_full_charge": "Vehicle.Powertrain.TractionBattery.Charging.TimeToComplete",
    "tpms_pressure_fl": "Vehicle.Chassis.Axle.Row1.Wheel.Left.Tire.Pressure",
    "tpms_pressure_fr": "Vehicle.Chassis.Axle.Row1.Wheel.Right.Tire.Pressure",
    "tpms_pressure_rl": "Vehicle.Chassis.Axle.Row2.Wheel.Left.Tire.Pressure",
    "tpms_pressure_rr": "Vehicle.Chassis.Axle.Row2.Wheel.Right.Tire.Pressure",
    "inside_temp": "Vehicle.Cabin.HVAC.AmbientAirTemperature",
    "outside_temp": "Vehicle.Exterior.AirTemperature",
    "lateral_acceleration": "Vehicle.Acceleration.Lateral",
    "longitudinal_acceleration": "Vehicle.Acceleration.Longitudinal",
    "cruise_set_speed": "Vehicle.ADAS.CruiseControl.SpeedSet",
    "brake_pedal_pos": "Vehicle.Chassis.Brake.PedalPosition",
    "lights_hazards_active": "Vehicle.Body.Lights.Hazard.IsSignaling",
    "lights_high_beams": "Vehicle.Body.Lights.Beam.High.IsOn",
    "latitude": "Vehicle.CurrentLocation.Latitude",
    "longitude": "Vehicle.CurrentLocation.Longitude",
    "door_driver_front_open": "Vehicle.Cabin.Door.Row1.DriverSide.IsOpen",
    "door_driver_rear_open": "Vehicle.Cabin.Door.Row2.DriverSide.IsOpen",
    "door_passenger_front_open": "Vehicle.Cabin.Door.Row1.PassengerSide.IsOpen",
    "door_passenger_rear_open": "Vehicle.Cabin.Door.Row2.PassengerSide.IsOpen",
    "trunk_front_open": "Vehicle.Body.Trunk.Front.IsOpen",
    "trunk_rear_open": "Vehicle.Body.Trunk.Rear.IsOpen",
    "altitude": "Vehicle.CurrentLocation.Altitude",
}
"""COVESA's path, where there is an obvious one."""


def _signal(id: int, name: str, kind: Kind, **columns: Any) -> Signal:  # noqa: A002
    return Signal(id, name, kind, vss=VSS.get(name, ""), hot=name in HOT, **columns)


def number(
    id: int,  # noqa: A002  (the column's name)
    name: str,
    field: str,
    unit: str,
    low: float,
    high: float,
    privacy: Privacy,
    scale: float = 1.0,
) -> Signal:
    """`unit`, `low` and `high` are of the stored value; `scale` brings Tesla's unit to it."""
    limits = {"unit": unit, "low": low, "high": high}
    return _signal(id, name, Kind.NUMBER, privacy=privacy, scale=scale, tesla_field=field, **limits)


def boolean(id: int, name: str, field: str, privacy: Privacy, part: str = "") -> Signal:  # noqa: A002
    kind = Kind.BOOLEAN
    return _signal(id, name, kind, privacy=privacy, high=1.0, tesla_field=field, component=part)


def enumeration(id: int, name: str, field: str, enum: str, privacy: Privacy) -> Signal:  # noqa: A002
    row, kind = ENUM_OF[enum], Kind.ENUM
    high = len(row.short_names) - 1.0
    return _signal(id, name, kind, privacy=privacy, high=high, tesla_field=field, enum=row)


def text(id: int, name: str, field: str, privacy: Privacy) -> Signal:  # noqa: A002
    return _signal(id, name, Kind.TEXT, privacy=privacy, tesla_field=field)


def any_value(id: int, name: str, field: str) -> Signal:  # noqa: A002
    return _signal(id, name, Kind.ANY, tesla_field=field)


def location(id: int, name: str, field: str, privacy: Privacy) -> Signal:  # noqa: A002
    return _signal(id, name, Kind.LOCATION, privacy=privacy, tesla_field=field)


def doors(id: int, name: str, field: str, privacy: Privacy) -> Signal:  # noqa: A002
    return _signal(id, name, Kind.DOORS, privacy=privacy, tesla_field=field)


def tires(id: int, name: str, field: str, privacy: Privacy) -> Signal:  # noqa: A002
    return _signal(id, name, Kind.TIRES, privacy=privacy, tesla_field=field)


def degrees(id: int, name: str, field: str, part: str, high: float) -> Signal:  # noqa: A002
    limits = {"unit": "deg", "low": -high, "high": high}
    columns: dict[str, Any] = {"privacy": LOCATION, "tesla_field": field, "component": part}
    return _signal(id, name, Kind.NUMBER, **columns, **limits)


TESLA_FIELDS: Final[tuple[Signal, ...]] = (
    any_value(0, "tesla_unknown", "Unknown"),
    boolean(1, "drive_rail", "DriveRail", NONE),
    enumeration(2, "charge_state", "ChargeState", "ChargingState", NONE),
    boolean(3, "bms_full_charge_complete", "BmsFullchargecomplete", NONE),
    number(4, "vehicle_speed", "VehicleSpeed", "m/s", 0, 120, BEHAVIOUR, MPH),
    number(5, "odometer", "Odometer", "m", 0, 3e9, BEHAVIOUR, MILE),
    number(6, "pack_voltage", "PackVoltage", "V", 0, 1000, NONE),
    number(7, "pack_current", "PackCurrent", "A", -3000, 3000, NONE),
    number(8, "soc", "Soc", "%", 0, 100, NONE),
    boolean(9, "dcdc_enable", "DCDCEnable", NONE),
    enumeration(10, "gear", "Gear", "ShiftState", BEHAVIOUR),
    number(11, "isolation_resistance", "IsolationResistance", "ohm", 0, 1e8, NONE, KILO),
    number(12, "pedal_position", "PedalPosition", "%", 0, 100, BEHAVIOUR),
    boolean(13, "brake_pedal", "BrakePedal", BEHAVIOUR),
    enumeration(14, "di_state_r", "DiStateR", "DriveInverterState", NONE),
    number(15, "di_heatsink_tr", "DiHeatsinkTR", "degC", -60, 250, NONE),
    number(16, "di_axle_speed_r", "DiAxleSpeedR", "rad/s", -3000, 3000, BEHAVIOUR, RPM),
    number(17, "di_torque_motor", "DiTorquemotor", "N.m", -10000, 10000, BEHAVIOUR),
    number(18, "di_stator_temp_r", "DiStatorTempR", "degC", -60, 250, NONE),
    number(19, "di_v_bat_r", "DiVBatR", "V", 0, 1000, NONE),
    number(20, "di_motor_current_r", "DiMotorCurrentR", "A", -3000, 3000, NONE),
    location(21, "location", "Location", LOCATION),
    boolean(22, "gps_state", "GpsState", NONE),
    number(23, "gps_heading", "GpsHeading", "deg", 0, 360, LOCATION),
    number(24, "num_brick_voltage_max", "NumBrickVoltageMax", "", 0, 10000, NONE),
    number(25, "brick_voltage_max", "BrickVoltageMax", "V", 0, 5, NONE),
    number(26, "num_brick_voltage_min", "NumBrickVoltageMin", "", 0, 10000, NONE),
    number(27, "brick_voltage_min", "BrickVoltageMin", "V", 0, 5, NONE),
    number(28, "num_module_temp_max", "NumModuleTempMax", "", 0, 10000, NONE),
    number(29, "module_temp_max", "ModuleTempMax", "degC", -60, 250, NONE),
    number(30, "num_module_temp_min", "NumModuleTempMin", "", 0, 10000, NONE),
    number(31, "module_temp_min", "ModuleTempMin", "degC", -60, 250, NONE),
    number(32, "rated_range", "RatedRange", "m", 0, 2e6, NONE, MILE),
    enumeration(33, "hvil", "Hvil", "HvilStatus", NONE),
    number(34, "dc_charging_energy_in", "DCChargingEnergyIn", "J", 0, 1e10, NONE, KWH),
    number(35, "dc_charging_power", "DCChargingPower", "W", -1e7, 1e7, NONE, KILO),
    number(36, "ac_charging_energy_in", "ACChargingEnergyIn", "J", 0, 1e10, NONE, KWH),
    number(37, "ac_charging_power", "ACChargingPower", "W", -1e7, 1e7, NONE, KILO),
    number(38, "charge_limit_soc", "ChargeLimitSoc", "%", 0, 100, NONE),
    boolean(39, "fast_charger_present", "FastChargerPresent", NONE),
    number(40, "est_battery_range", "EstBatteryRange", "m", 0, 2e6, NONE, MILE),
    number(41, "ideal_battery_range", "IdealBatteryRange", "m", 0, 2e6, NONE, MILE),
    number(42, "battery_level", "BatteryLevel", "%", 0, 100, NONE),
    number(43, "time_to_full_charge", "TimeToFullCharge", "s", 0, 1e6, NONE, HOUR),
    number(
        44, "scheduled_charging_start_time", "ScheduledChargingStartTime", "s", 0, 4e9, BEHAVIOUR
    ),
    boolean(45, "scheduled_charging_pending", "ScheduledChargingPending", NONE),
    number(46, "scheduled_departure_time", "ScheduledDepartureTime", "s", 0, 4e9, BEHAVIOUR),
    boolean(47, "preconditioning_enabled", "PreconditioningEnabled", BEHAVIOUR),
    enumeration(
        48,
        "scheduled_charging_mode",
        "ScheduledChargingMode",
        "ScheduledChargingModeValue",
        BEHAVIOUR,
    ),
    number(49, "charge_amps", "ChargeAmps", "A", 0, 1000, NONE),
    boolean(50, "charge_enable_request", "ChargeEnableRequest", NONE),
    number(51, "charger_phases", "ChargerPhases", "", 0, 10000, NONE),
    boolean(52, "charge_port_cold_weather_mode", "ChargePortColdWeatherMode", NONE),
    number(53, "charge_current_request", "ChargeCurrentRequest", "A", 0, 1000, NONE),
    number(54, "charge_current_request_max", "ChargeCurrentRequestMax", "A", 0, 1000, NONE),
    boolean(55, "battery_heater_on", "BatteryHeaterOn", NONE),
    boolean(56, "not_enough_power_to_heat", "NotEnoughPowerToHeat", NONE),
    boolean(57, "supercharger_session_trip_planner", "SuperchargerSessionTripPlanner", LOCATION),
    doors(58, "door_state", "DoorState", BEHAVIOUR),
    boolean(59, "locked", "Locked", BEHAVIOUR),
    enumeration(60, "fd_window", "FdWindow", "WindowState", BEHAVIOUR),
    enumeration(61, "fp_window", "FpWindow", "WindowState", BEHAVIOUR),
    enumeration(62, "rd_window", "RdWindow", "WindowState", BEHAVIOUR),
    enumeration(63, "rp_window", "RpWindow", "WindowState", BEHAVIOUR),
    text(64, "vehicle_name", "VehicleName", PERSONAL),
    enumeration(65, "sentry_mode", "SentryMode", "SentryModeState", BEHAVIOUR),
    boolean(66, "speed_limit_mode", "SpeedLimitMode", BEHAVIOUR),
    number(67, "current_limit", "CurrentLimitMph", "m/s", 0, 120, BEHAVIOUR, MPH),
    text(68, "version", "Version", NONE),
    number(69, "tpms_pressure_fl", "TpmsPressureFl", "Pa", 0, 1e6, NONE, BAR),
    number(70, "tpms_pressure_fr", "TpmsPressureFr", "Pa", 0, 1e6, NONE, BAR),
    number(71, "tpms_pressure_rl", "TpmsPressureRl", "Pa", 0, 1e6, NONE, BAR),
    number(72, "tpms_pressure_rr", "TpmsPressureRr", "Pa", 0, 1e6, NONE, BAR),
    number(
        73, "semitruck_tpms_pressure_re1_l0", "SemitruckTpmsPressureRe1L0", "Pa", 0, 2e6, NONE, BAR
    ),
    number(
        74, "semitruck_tpms_pressure_re1_l1", "SemitruckTpmsPressureRe1L1", "Pa", 0, 2e6, NONE, BAR
    ),
    number(
        75, "semitruck_tpms_pressure_re1_r0", "SemitruckTpmsPressureRe1R0", "Pa", 0, 2e6, NONE, BAR
    ),
    number(
        76, "semitruck_tpms_pressure_re1_r1", "SemitruckTpmsPressureRe1R1", "Pa", 0, 2e6, NONE, BAR
    ),
    number(
        77, "semitruck_tpms_pressure_re2_l0", "SemitruckTpmsPressureRe2L0", "Pa", 0, 2e6, NONE, BAR
    ),
    number(
        78, "semitruck_tpms_pressure_re2_l1", "SemitruckTpmsPressureRe2L1", "Pa", 0, 2e6, NONE, BAR
    ),
    number(
        79, "semitruck_tpms_pressure_re2_r0", "SemitruckTpmsPressureRe2R0", "Pa", 0, 2e6, NONE, BAR
    ),
    number(
        80, "semitruck_tpms_pressure_re2_r1", "SemitruckTpmsPressureRe2R1", "Pa", 0, 2e6, NONE, BAR
    ),
    number(81, "tpms_last_seen_time_fl", "TpmsLastSeenPressureTimeFl", "s", 0, 4e9, NONE),
    number(82, "tpms_last_seen_time_fr", "TpmsLastSeenPressureTimeFr", "s", 0, 4e9, NONE),
    number(83, "tpms_last_seen_time_rl", "TpmsLastSeenPressureTimeRl", "s", 0, 4e9, NONE),
    number(84, "tpms_last_seen_time_rr", "TpmsLastSeenPressureTimeRr", "s", 0, 4e9, NONE),
    number(85, "inside_temp", "InsideTemp", "degC", -60, 90, NONE),
    number(86, "outside_temp", "OutsideTemp", "degC", -60, 90, NONE),
    number(87, "seat_heater_left", "SeatHeaterLeft", "", 0, 20, BEHAVIOUR),
    number(88, "seat_heater_right", "SeatHeaterRight", "", 0, 20, BEHAVIOUR),
    number(89, "seat_heater_rear_left", "SeatHeaterRearLeft", "", 0, 20, BEHAVIOUR),
    number(90, "seat_heater_rear_right", "SeatHeaterRearRight", "", 0, 20, BEHAVIOUR),
    number(91, "seat_heater_rear_center", "SeatHeaterRearCenter", "", 0, 20, BEHAVIOUR),
    boolean(92, "auto_seat_climate_left", "AutoSeatClimateLeft", BEHAVIOUR),
    boolean(93, "auto_seat_climate_right", "AutoSeatClimateRight", BEHAVIOUR),
    enumeration(94, "driver_seat_belt", "DriverSeatBelt", "BuckleStatus", BEHAVIOUR),
    enumeration(95, "passenger_seat_belt", "PassengerSeatBelt", "BuckleStatus", BEHAVIOUR),
    boolean(96, "driver_seat_occupied", "DriverSeatOccupied", BEHAVIOUR),
    enumeration(
        97,
        "semitruck_passenger_seat_fold_position",
        "SemitruckPassengerSeatFoldPosition",
        "SeatFoldPosition",
        NONE,
    ),
    number(98, "lateral_acceleration", "LateralAcceleration", "m/s2", -50, 50, BEHAVIOUR),
    number(99, "longitudinal_acceleration", "LongitudinalAcceleration", "m/s2", -50, 50, BEHAVIOUR),
    any_value(100, "tesla_deprecated_2", "Deprecated_2"),
    number(101, "cruise_set_speed", "CruiseSetSpeed", "m/s", 0, 120, BEHAVIOUR, MPH),
    number(102, "lifetime_energy_used", "LifetimeEnergyUsed", "J", 0, 1e13, BEHAVIOUR, KWH),
    number(
        103, "lifetime_energy_used_drive", "LifetimeEnergyUsedDrive", "J", 0, 1e13, BEHAVIOUR, KWH
    ),
    enumeration(
        104,
        "semitruck_tractor_park_brake_status",
        "SemitruckTractorParkBrakeStatus",
        "TractorAirStatus",
        NONE,
    ),
    enumeration(
        105,
        "semitruck_trailer_park_brake_status",
        "SemitruckTrailerParkBrakeStatus",
        "TrailerAirStatus",
        NONE,
    ),
    number(106, "brake_pedal_pos", "BrakePedalPos", "%", 0, 100, BEHAVIOUR),
    number(107, "route_last_updated", "RouteLastUpdated", "s", 0, 4e9, LOCATION),
    text(108, "route_line", "RouteLine", LOCATION),
    number(109, "distance_to_arrival", "MilesToArrival", "m", 0, 2e7, LOCATION, MILE),
    number(110, "time_to_arrival", "MinutesToArrival", "s", 0, 1e6, LOCATION, MINUTE),
    location(111, "origin_location", "OriginLocation", LOCATION),
    location(112, "destination_location", "DestinationLocation", LOCATION),
    enumeration(113, "car_type", "CarType", "CarTypeValue", NONE),
    text(114, "trim", "Trim", NONE),
    text(115, "exterior_color", "ExteriorColor", NONE),
    text(116, "roof_color", "RoofColor", NONE),
    enumeration(117, "charge_port", "ChargePort", "ChargePortValue", NONE),
    enumeration(118, "charge_port_latch", "ChargePortLatch", "ChargePortLatchValue", NONE),
    any_value(119, "tesla_experimental_1", "Experimental_1"),
    any_value(120, "tesla_experimental_2", "Experimental_2"),
    any_value(121, "tesla_experimental_3", "Experimental_3"),
    any_value(122, "tesla_experimental_4", "Experimental_4"),
    boolean(123, "guest_mode_enabled", "GuestModeEnabled", BEHAVIOUR),
    boolean(124, "pin_to_drive_enabled", "PinToDriveEnabled", BEHAVIOUR),
    number(125, "paired_phone_key_count", "PairedPhoneKeyAndKeyFobQty", "", 0, 100, PERSONAL),
    enumeration(126, "cruise_follow_distance", "CruiseFollowDistance", "FollowDistance", BEHAVIOUR),
    boolean(127, "automatic_blind_spot_camera", "AutomaticBlindSpotCamera", BEHAVIOUR),
    boolean(128, "blind_spot_collision_warning_chime", "BlindSpotCollisionWarningChime", BEHAVIOUR),
    enumeration(129, "speed_limit_warning", "SpeedLimitWarning", "SpeedAssistLevel", BEHAVIOUR),
    enumeration(
        130,
        "forward_collision_warning",
        "ForwardCollisionWarning",
        "ForwardCollisionSensitivity",
        BEHAVIOUR,
    ),
    enumeration(
        131, "lane_departure_avoidance", "LaneDepartureAvoidance", "LaneAssistLevel", BEHAVIOUR
    ),
    boolean(
        132, "emergency_lane_departure_avoidance", "EmergencyLaneDepartureAvoidance", BEHAVIOUR
    ),
    boolean(133, "automatic_emergency_braking_off", "AutomaticEmergencyBrakingOff", BEHAVIOUR),
    number(
        134,
        "lifetime_energy_gained_regen",
        "LifetimeEnergyGainedRegen",
        "J",
        0,
        1e13,
        BEHAVIOUR,
        KWH,
    ),
    enumeration(135, "di_state_f", "DiStateF", "DriveInverterState", NONE),
    enumeration(136, "di_state_rel", "DiStateREL", "DriveInverterState", NONE),
    enumeration(137, "di_state_rer", "DiStateRER", "DriveInverterState", NONE),
    number(138, "di_heatsink_tf", "DiHeatsinkTF", "degC", -60, 250, NONE),
    number(139, "di_heatsink_t_rel", "DiHeatsinkTREL", "degC", -60, 250, NONE),
    number(140, "di_heatsink_t_rer", "DiHeatsinkTRER", "degC", -60, 250, NONE),
    number(141, "di_axle_speed_f", "DiAxleSpeedF", "rad/s", -3000, 3000, BEHAVIOUR, RPM),
    number(142, "di_axle_speed_rel", "DiAxleSpeedREL", "rad/s", -3000, 3000, BEHAVIOUR, RPM),
    number(143, "di_axle_speed_rer", "DiAxleSpeedRER", "rad/s", -3000, 3000, BEHAVIOUR, RPM),
    number(144, "di_slave_torque_cmd", "DiSlaveTorqueCmd", "N.m", -10000, 10000, BEHAVIOUR),
    number(145, "di_torque_actual_r", "DiTorqueActualR", "N.m", -10000, 10000, BEHAVIOUR),
    number(146, "di_torque_actual_f", "DiTorqueActualF", "N.m", -10000, 10000, BEHAVIOUR),
    number(147, "di_torque_actual_rel", "DiTorqueActualREL", "N.m", -10000, 10000, BEHAVIOUR),
    number(148, "di_torque_actual_rer", "DiTorqueActualRER", "N.m", -10000, 10000, BEHAVIOUR),
    number(149, "di_stator_temp_f", "DiStatorTempF", "degC", -60, 250, NONE),
    number(150, "di_stator_temp_rel", "DiStatorTempREL", "degC", -60, 250, NONE),
    number(151, "di_stator_temp_rer", "DiStatorTempRER", "degC", -60, 250, NONE),
    number(152, "di_v_bat_f", "DiVBatF", "V", 0, 1000, NONE),
    number(153, "di_v_bat_rel", "DiVBatREL", "V", 0, 1000, NONE),
    number(154, "di_v_bat_rer", "DiVBatRER", "V", 0, 1000, NONE),
    number(155, "di_motor_current_f", "DiMotorCurrentF", "A", -3000, 3000, NONE),
    number(156, "di_motor_current_rel", "DiMotorCurrentREL", "A", -3000, 3000, NONE),
    number(157, "di_motor_current_rer", "DiMotorCurrentRER", "A", -3000, 3000, NONE),
    number(158, "energy_remaining", "EnergyRemaining", "J", 0, 1e10, NONE, KWH),
    boolean(159, "service_mode", "ServiceMode", NONE),
    enumeration(160, "bms_state", "BMSState", "BMSStateValue", NONE),
    enumeration(
        161,
        "guest_mode_mobile_access_state",
        "GuestModeMobileAccessState",
        "GuestModeMobileAccess",
        BEHAVIOUR,
    ),
    any_value(162, "tesla_deprecated_1", "Deprecated_1"),
    text(163, "destination_name", "DestinationName", LOCATION),
    number(164, "di_inverter_tr", "DiInverterTR", "degC", -60, 250, NONE),
    number(165, "di_inverter_tf", "DiInverterTF", "degC", -60, 250, NONE),
    number(166, "di_inverter_t_rel", "DiInverterTREL", "degC", -60, 250, NONE),
    number(167, "di_inverter_t_rer", "DiInverterTRER", "degC", -60, 250, NONE),
    any_value(168, "tesla_experimental_5", "Experimental_5"),
    any_value(169, "tesla_experimental_6", "Experimental_6"),
    any_value(170, "tesla_experimental_7", "Experimental_7"),
    any_value(171, "tesla_experimental_8", "Experimental_8"),
    any_value(172, "tesla_experimental_9", "Experimental_9"),
    any_value(173, "tesla_experimental_10", "Experimental_10"),
    any_value(174, "tesla_experimental_11", "Experimental_11"),
    any_value(175, "tesla_experimental_12", "Experimental_12"),
    any_value(176, "tesla_experimental_13", "Experimental_13"),
    any_value(177, "tesla_experimental_14", "Experimental_14"),
    any_value(178, "tesla_experimental_15", "Experimental_15"),
    enumeration(
        179, "detailed_charge_state", "DetailedChargeState", "DetailedChargeStateValue", NONE
    ),
    enumeration(
        180,
        "cabin_overheat_protection_mode",
        "CabinOverheatProtectionMode",
        "CabinOverheatProtectionModeState",
        BEHAVIOUR,
    ),
    enumeration(
        181,
        "cabin_overheat_protection_temperature_limit",
        "CabinOverheatProtectionTemperatureLimit",
        "ClimateOverheatProtectionTempLimit",
        BEHAVIOUR,
    ),
    enumeration(182, "center_display", "CenterDisplay", "DisplayState", BEHAVIOUR),
    boolean(183, "charge_port_door_open", "ChargePortDoorOpen", NONE),
    number(184, "charger_voltage", "ChargerVoltage", "V", 0, 1000, NONE),
    enumeration(185, "charging_cable_type", "ChargingCableType", "CableType", NONE),
    enumeration(
        186, "climate_keeper_mode", "ClimateKeeperMode", "ClimateKeeperModeState", BEHAVIOUR
    ),
    boolean(187, "defrost_for_preconditioning", "DefrostForPreconditioning", NONE),
    enumeration(188, "defrost_mode", "DefrostMode", "DefrostModeState", BEHAVIOUR),
    text(189, "efficiency_package", "EfficiencyPackage", NONE),
    number(
        190,
        "estimated_time_to_charge_termination",
        "EstimatedHoursToChargeTermination",
        "s",
        0,
        1e6,
        NONE,
        HOUR,
    ),
    boolean(191, "europe_vehicle", "EuropeVehicle", NONE),
    number(
        192,
        "expected_energy_percent_at_trip_arrival",
        "ExpectedEnergyPercentAtTripArrival",
        "%",
        -100,
        100,
        LOCATION,
    ),
    enumeration(193, "fast_charger_type", "FastChargerType", "FastCharger", NONE),
    number(194, "homelink_device_count", "HomelinkDeviceCount", "", 0, 10000, NONE),
    boolean(195, "homelink_nearby", "HomelinkNearby", LOCATION),
    boolean(196, "hvac_ac_enabled", "HvacACEnabled", BEHAVIOUR),
    enumeration(197, "hvac_auto_mode", "HvacAutoMode", "HvacAutoModeState", BEHAVIOUR),
    number(198, "hvac_fan_speed", "HvacFanSpeed", "", 0, 20, BEHAVIOUR),
    number(199, "hvac_fan_status", "HvacFanStatus", "", 0, 20, BEHAVIOUR),
    number(
        200,
        "hvac_left_temperature_request",
        "HvacLeftTemperatureRequest",
        "degC",
        10,
        40,
        BEHAVIOUR,
    ),
    enumeration(201, "hvac_power", "HvacPower", "HvacPowerState", BEHAVIOUR),
    number(
        202,
        "hvac_right_temperature_request",
        "HvacRightTemperatureRequest",
        "degC",
        10,
        40,
        BEHAVIOUR,
    ),
    boolean(203, "hvac_steering_wheel_heat_auto", "HvacSteeringWheelHeatAuto", BEHAVIOUR),
    number(
        204, "hvac_steering_wheel_heat_level", "HvacSteeringWheelHeatLevel", "", 0, 20, BEHAVIOUR
    ),
    boolean(205, "offroad_lightbar_present", "OffroadLightbarPresent", NONE),
    number(206, "powershare_time_left", "PowershareHoursLeft", "s", 0, 1e6, NONE, HOUR),
    number(
        207,
        "powershare_instantaneous_power",
        "PowershareInstantaneousPowerKW",
        "W",
        -1e7,
        1e7,
        NONE,
        KILO,
    ),
    enumeration(208, "powershare_status", "PowershareStatus", "PowershareState", NONE),
    enumeration(
        209, "powershare_stop_reason", "PowershareStopReason", "PowershareStopReasonStatus", NONE
    ),
    enumeration(210, "powershare_type", "PowershareType", "PowershareTypeStatus", NONE),
    boolean(211, "rear_display_hvac_enabled", "RearDisplayHvacEnabled", BEHAVIOUR),
    number(212, "rear_seat_heaters", "RearSeatHeaters", "", 0, 20, BEHAVIOUR),
    boolean(213, "remote_start_enabled", "RemoteStartEnabled", NONE),
    boolean(214, "right_hand_drive", "RightHandDrive", NONE),
    number(215, "route_traffic_delay", "RouteTrafficMinutesDelay", "s", 0, 1e6, LOCATION, MINUTE),
    number(
        216,
        "software_update_download_percent_complete",
        "SoftwareUpdateDownloadPercentComplete",
        "%",
        0,
        100,
        NONE,
    ),
    number(
        217,
        "software_update_expected_duration",
        "SoftwareUpdateExpectedDurationMinutes",
        "s",
        0,
        1e6,
        NONE,
        MINUTE,
    ),
    number(
        218,
        "software_update_installation_percent_complete",
        "SoftwareUpdateInstallationPercentComplete",
        "%",
        0,
        100,
        NONE,
    ),
    number(
        219,
        "software_update_scheduled_start_time",
        "SoftwareUpdateScheduledStartTime",
        "s",
        0,
        4e9,
        NONE,
    ),
    text(220, "software_update_version", "SoftwareUpdateVersion", NONE),
    number(221, "tonneau_open_percent", "TonneauOpenPercent", "%", 0, 100, NONE),
    enumeration(222, "tonneau_position", "TonneauPosition", "TonneauPositionState", NONE),
    enumeration(223, "tonneau_tent_mode", "TonneauTentMode", "TonneauTentModeState", NONE),
    tires(224, "tpms_hard_warnings", "TpmsHardWarnings", NONE),
    tires(225, "tpms_soft_warnings", "TpmsSoftWarnings", NONE),
    boolean(226, "valet_mode_enabled", "ValetModeEnabled", BEHAVIOUR),
    text(227, "wheel_type", "WheelType", NONE),
    boolean(228, "wiper_heat_enabled", "WiperHeatEnabled", NONE),
    boolean(229, "located_at_home", "LocatedAtHome", LOCATION),
    boolean(230, "located_at_work", "LocatedAtWork", LOCATION),
    boolean(231, "located_at_favorite", "LocatedAtFavorite", LOCATION),
    enumeration(232, "setting_distance_unit", "SettingDistanceUnit", "DistanceUnit", NONE),
    enumeration(233, "setting_temperature_unit", "SettingTemperatureUnit", "TemperatureUnit", NONE),
    boolean(234, "setting_24_hour_time", "Setting24HourTime", NONE),
    enumeration(235, "setting_tire_pressure_unit", "SettingTirePressureUnit", "PressureUnit", NONE),
    enumeration(236, "setting_charge_unit", "SettingChargeUnit", "ChargeUnitPreference", NONE),
    number(
        237, "climate_seat_cooling_front_left", "ClimateSeatCoolingFrontLeft", "", 0, 20, BEHAVIOUR
    ),
    number(
        238,
        "climate_seat_cooling_front_right",
        "ClimateSeatCoolingFrontRight",
        "",
        0,
        20,
        BEHAVIOUR,
    ),
    boolean(239, "lights_hazards_active", "LightsHazardsActive", BEHAVIOUR),
    enumeration(240, "lights_turn_signal", "LightsTurnSignal", "TurnSignalState", BEHAVIOUR),
    boolean(241, "lights_high_beams", "LightsHighBeams", BEHAVIOUR),
    enumeration(242, "media_playback_status", "MediaPlaybackStatus", "MediaStatus", MEDIA),
    text(243, "media_playback_source", "MediaPlaybackSource", MEDIA),
    number(244, "media_audio_volume", "MediaAudioVolume", "", 0, 100, MEDIA),
    number(245, "media_now_playing_duration", "MediaNowPlayingDuration", "s", 0, 1e6, MEDIA, MILLI),
    number(246, "media_now_playing_elapsed", "MediaNowPlayingElapsed", "s", 0, 1e6, MEDIA, MILLI),
    text(247, "media_now_playing_artist", "MediaNowPlayingArtist", MEDIA),
    text(248, "media_now_playing_title", "MediaNowPlayingTitle", MEDIA),
    text(249, "media_now_playing_album", "MediaNowPlayingAlbum", MEDIA),
    text(250, "media_now_playing_station", "MediaNowPlayingStation", MEDIA),
    number(251, "media_audio_volume_increment", "MediaAudioVolumeIncrement", "", 0, 100, MEDIA),
    number(252, "media_audio_volume_max", "MediaAudioVolumeMax", "", 0, 100, MEDIA),
    enumeration(253, "sunroof_installed", "SunroofInstalled", "SunroofInstalledState", NONE),
    boolean(254, "seat_vent_enabled", "SeatVentEnabled", BEHAVIOUR),
    boolean(255, "rear_defrost_enabled", "RearDefrostEnabled", NONE),
    number(256, "charge_rate", "ChargeRateMilePerHour", "m/s", 0, 500, NONE, MPH),
    any_value(257, "tesla_deprecated_3", "Deprecated_3"),
    number(258, "distance_since_reset", "MilesSinceReset", "m", 0, 3e9, BEHAVIOUR, MILE),
    number(
        259,
        "self_driving_distance_since_reset",
        "SelfDrivingMilesSinceReset",
        "m",
        0,
        3e9,
        BEHAVIOUR,
        MILE,
    ),
)

COMPONENTS: Final[tuple[Signal, ...]] = (
    degrees(1000, "latitude", "Location", "latitude", 90),
    degrees(1001, "longitude", "Location", "longitude", 180),
    degrees(1002, "origin_latitude", "OriginLocation", "latitude", 90),
    degrees(1003, "origin_longitude", "OriginLocation", "longitude", 180),
    degrees(1004, "destination_latitude", "DestinationLocation", "latitude", 90),
    degrees(1005, "destination_longitude", "DestinationLocation", "longitude", 180),
    boolean(1010, "door_driver_front_open", "DoorState", BEHAVIOUR, "DriverFront"),
    boolean(1011, "door_driver_rear_open", "DoorState", BEHAVIOUR, "DriverRear"),
    boolean(1012, "door_passenger_front_open", "DoorState", BEHAVIOUR, "PassengerFront"),
    boolean(1013, "door_passenger_rear_open", "DoorState", BEHAVIOUR, "PassengerRear"),
    boolean(1014, "trunk_front_open", "DoorState", BEHAVIOUR, "TrunkFront"),
    boolean(1015, "trunk_rear_open", "DoorState", BEHAVIOUR, "TrunkRear"),
    boolean(1020, "tpms_hard_warning_front_left", "TpmsHardWarnings", NONE, "front_left"),
    boolean(1021, "tpms_hard_warning_front_right", "TpmsHardWarnings", NONE, "front_right"),
    boolean(1022, "tpms_hard_warning_rear_left", "TpmsHardWarnings", NONE, "rear_left"),
    boolean(1023, "tpms_hard_warning_rear_right", "TpmsHardWarnings", NONE, "rear_right"),
    boolean(
        1024,
        "tpms_hard_warning_semi_middle_axle_left_2",
        "TpmsHardWarnings",
        NONE,
        "semi_middle_axle_left_2",
    ),
    boolean(
        1025,
        "tpms_hard_warning_semi_middle_axle_right_2",
        "TpmsHardWarnings",
        NONE,
        "semi_middle_axle_right_2",
    ),
    boolean(
        1026,
        "tpms_hard_warning_semi_rear_axle_left",
        "TpmsHardWarnings",
        NONE,
        "semi_rear_axle_left",
    ),
    boolean(
        1027,
        "tpms_hard_warning_semi_rear_axle_right",
        "TpmsHardWarnings",
        NONE,
        "semi_rear_axle_right",
    ),
    boolean(
        1028,
        "tpms_hard_warning_semi_rear_axle_left_2",
        "TpmsHardWarnings",
        NONE,
        "semi_rear_axle_left_2",
    ),
    boolean(
        1029,
        "tpms_hard_warning_semi_rear_axle_right_2",
        "TpmsHardWarnings",
        NONE,
        "semi_rear_axle_right_2",
    ),
    boolean(1030, "tpms_soft_warning_front_left", "TpmsSoftWarnings", NONE, "front_left"),
    boolean(1031, "tpms_soft_warning_front_right", "TpmsSoftWarnings", NONE, "front_right"),
    boolean(1032, "tpms_soft_warning_rear_left", "TpmsSoftWarnings", NONE, "rear_left"),
    boolean(1033, "tpms_soft_warning_rear_right", "TpmsSoftWarnings", NONE, "rear_right"),
    boolean(
        1034,
        "tpms_soft_warning_semi_middle_axle_left_2",
        "TpmsSoftWarnings",
        NONE,
        "semi_middle_axle_left_2",
    ),
    boolean(
        1035,
        "tpms_soft_warning_semi_middle_axle_right_2",
        "TpmsSoftWarnings",
        NONE,
        "semi_middle_axle_right_2",
    ),
    boolean(
        1036,
        "tpms_soft_warning_semi_rear_axle_left",
        "TpmsSoftWarnings",
        NONE,
        "semi_rear_axle_left",
    ),
    boolean(
        1037,
        "tpms_soft_warning_semi_rear_axle_right",
        "TpmsSoftWarnings",
        NONE,
        "semi_rear_axle_right",
    ),
    boolean(
        1038,
        "tpms_soft_warning_semi_rear_axle_left_2",
        "TpmsSoftWarnings",
        NONE,
        "semi_rear_axle_left_2",
    ),
    boolean(
        1039,
        "tpms_soft_warning_semi_rear_axle_right_2",
        "TpmsSoftWarnings",
        NONE,
        "semi_rear_axle_right_2",
    ),
)

OWN: Final[tuple[Signal, ...]] = (
    number(1101, "altitude", "", "m", -500, 9_000, LOCATION),
    number(1102, "gps_accuracy", "", "m", 0, 10_000, LOCATION),
    number(1103, "yaw_rate", "", "rad/s", -10, 10, BEHAVIOUR),
    number(1104, "steering_wheel_angle", "", "rad", -20, 20, BEHAVIOUR),
    number(1105, "drive_power", "", "W", -2e6, 2e6, BEHAVIOUR),
    number(1106, "battery_power", "", "W", -2e6, 2e6, NONE),
    number(1107, "battery_temp", "", "degC", -60, 120, NONE),
    number(1108, "charge_energy_added", "", "J", 0, 1e9, NONE),
    number(1109, "charge_current", "", "A", -1_000, 1_000, NONE),
    boolean(1110, "climate_on", "", BEHAVIOUR),
    boolean(1111, "horn_active", "", BEHAVIOUR),
    boolean(1112, "lights_flashing", "", BEHAVIOUR),
    boolean(1113, "charge_cable_connected", "", NONE),
    number(1114, "window_driver_front_open", "", "%", 0, 100, BEHAVIOUR),
    number(1115, "window_driver_rear_open", "", "%", 0, 100, BEHAVIOUR),
    number(1116, "window_passenger_front_open", "", "%", 0, 100, BEHAVIOUR),
    number(1117, "window_passenger_rear_open", "", "%", 0, 100, BEHAVIOUR),
    text(1118, "navigation_destination", "", LOCATION),
    number(1119, "link_backlog_bytes", "", "B", 0, 1e12, NONE),
    number(1120, "link_backlog_age", "", "s", 0, 1e7, NONE),
    number(1121, "link_dropped_count", "", "", 0, 1e12, NONE),
    number(1122, "clock_offset", "", "s", -1e9, 1e9, NONE),
    number(1123, "solar_power", "", "W", 0, 1e7, BEHAVIOUR),
    number(1124, "grid_power", "", "W", -1e7, 1e7, BEHAVIOUR),
    number(1125, "house_power", "", "W", -1e7, 1e7, BEHAVIOUR),
    boolean(1126, "asleep", "", BEHAVIOUR),  # parked, unused, and answers to `wake_up` alone
    boolean(1127, "homelink_active", "", BEHAVIOUR),
    boolean(1128, "boombox_active", "", BEHAVIOUR),
    number(1129, "sun_roof_open", "", "%", 0, 100, NONE),
    text(1130, "sun_roof_state", "", NONE),  # closed, vent, moving
    number(1131, "climate_power", "", "W", 0, 2e4, BEHAVIOUR),
    number(1132, "hvac_temperature_min", "", "degC", 10, 40, NONE),
    number(1133, "hvac_temperature_max", "", "degC", 10, 40, NONE),
    boolean(1134, "cabin_overheat_active", "", BEHAVIOUR),
    boolean(1135, "remote_comfort_enabled", "", BEHAVIOUR),  # seats and wheel take commands
    boolean(1136, "bioweapon_mode", "", BEHAVIOUR),
    number(1137, "charge_limit_soc_min", "", "%", 0, 100, NONE),
    number(1138, "charge_limit_soc_max", "", "%", 0, 100, NONE),
    number(1139, "charge_limit_soc_standard", "", "%", 0, 100, NONE),
    boolean(1140, "managed_charging_active", "", NONE),
    boolean(1141, "departure_preconditioning", "", BEHAVIOUR),
    boolean(1142, "off_peak_charging", "", BEHAVIOUR),
    number(1143, "off_peak_end_minute", "", "", 0, 1_439, BEHAVIOUR),  # after midnight, local
    number(1144, "navigation_stop_count", "", "", 0, 100, LOCATION),
    boolean(1145, "valet_pin_set", "", NONE),
    boolean(1146, "pin_to_drive_pin_set", "", NONE),
    boolean(1147, "speed_limit_pin_set", "", NONE),
    boolean(1148, "parental_controls_active", "", BEHAVIOUR),
    boolean(1149, "parental_controls_pin_set", "", NONE),
    text(1150, "parental_controls_settings", "", BEHAVIOUR),
    number(1151, "parental_controls_limit", "", "m/s", 0, 120, BEHAVIOUR),
    boolean(1152, "remote_start_active", "", BEHAVIOUR),
    text(1153, "software_update_status", "", NONE),
    boolean(1154, "low_power_mode", "", NONE),
    boolean(1155, "accessory_power_mode", "", NONE),
    number(1156, "drive_note_count", "", "", 0, 1_000, BEHAVIOUR),
    number(1157, "calendar_size", "", "B", 0, 1e6, BEHAVIOUR),
    boolean(1158, "seat_cooling_installed", "", NONE),
)

SITE: Final[tuple[Signal, ...]] = (
    # Meters: from where to where, ever since the site was made.
    number(1200, "solar_to_house_energy", "", "J", 0, 1e15, BEHAVIOUR),
    number(1201, "solar_to_battery_energy", "", "J", 0, 1e15, BEHAVIOUR),
    number(1202, "solar_to_grid_energy", "", "J", 0, 1e15, BEHAVIOUR),
    number(1203, "battery_to_house_energy", "", "J", 0, 1e15, BEHAVIOUR),
    number(1204, "battery_to_grid_energy", "", "J", 0, 1e15, BEHAVIOUR),
    number(1205, "grid_to_house_energy", "", "J", 0, 1e15, BEHAVIOUR),
    number(1206, "grid_to_battery_energy", "", "J", 0, 1e15, BEHAVIOUR),
    number(1207, "battery_capacity", "", "J", 0, 1e12, NONE),
    number(1208, "battery_power_max", "", "W", 0, 1e7, NONE),
    boolean(1209, "grid_connected", "", NONE),
    number(1210, "outage_start", "", "s", 0, 1e11, NONE),  # of the last one; Unix time, 0: none
    number(1211, "outage_duration", "", "s", 0, 1e8, NONE),
    number(1212, "wall_connector_power", "", "W", 0, 1e6, BEHAVIOUR),
    boolean(1213, "wall_connector_plugged", "", BEHAVIOUR),
    number(1214, "wall_charge_start", "", "s", 0, 1e11, BEHAVIOUR),  # of the last one
    number(1215, "wall_charge_duration", "", "s", 0, 1e8, BEHAVIOUR),
    number(1216, "wall_charge_energy", "", "J", 0, 1e12, BEHAVIOUR),
    boolean(1217, "storm_active", "", NONE),
    # Settings, as the site obeys them.
    text(1220, "operation_mode", "", NONE),
    number(1221, "backup_reserve", "", "%", 0, 100, NONE),
    boolean(1222, "storm_mode_enabled", "", NONE),
    number(1223, "off_grid_charging_reserve", "", "%", 0, 100, NONE),
    boolean(1224, "grid_charging_disallowed", "", NONE),
    text(1225, "export_rule", "", NONE),
    text(1226, "tariff_digest", "", NONE),
    text(1227, "time_of_use_tariff", "", NONE),  # JSON; as long as the tariff is
)
"""Of energy sites (`vehicle/site/`). Powers above: battery > 0 discharges, grid > 0 imports."""

SCHEDULE_SLOTS: Final = 8
_SLOTS: Final = range(SCHEDULE_SLOTS)
SCHEDULES: Final[tuple[Signal, ...]] = (
    *(text(1160 + slot, f"charge_schedule_{slot}", "", BEHAVIOUR) for slot in _SLOTS),
    *(text(1168 + slot, f"charge_schedule_{slot}_place", "", LOCATION) for slot in _SLOTS),
    *(text(1176 + slot, f"precondition_schedule_{slot}", "", BEHAVIOUR) for slot in _SLOTS),
    *(text(1184 + slot, f"precondition_schedule_{slot}_place", "", LOCATION) for slot in _SLOTS),
)
"""A vehicle's schedules: JSON as in `vehicle_data`, empty for none, and "latitude,longitude"."""

SIGNALS: Final[tuple[Signal, ...]] = TESLA_FIELDS + COMPONENTS + OWN + SCHEDULES + SITE
