"""Signed actions in the words of our commands: the same names, parameters and rights."""

from typing import Any

import pytest
from tesla_protocol.command import car_server_pb2 as cs
from tesla_protocol.command.common_pb2 import (
    ChargeSchedule,
    LatLong,
    OffPeakChargingTimes,
    PreconditioningTimes,
    PreconditionSchedule,
    Void,
)
from tesla_protocol.command.vcsec_pb2 import ClosureMoveRequest

from motorcade.api.signed import SCOPES
from motorcade.commands.table import COMMANDS, WAKE_UP, read_parameters, row_of
from motorcade.vehicle.signed.program import UNSIGNED_STILL
from motorcade.vehicle.signed.roles import rights_of_role
from motorcade.wire.tesla_command.asks import (
    Deed,
    Deeds,
    UndecodableError,
    Unsupported,
    rights_of,
)
from motorcade.wire.tesla_command.infotainment import ACTIONS, read_infotainment
from motorcade.wire.tesla_command.rights import COMMAND_RIGHTS, Right, right_of
from motorcade.wire.tesla_command.vcsec import RKE_ACTIONS, read_vcsec
from tests.vehicle.signed.car import action, unsigned

SEAT = cs.HvacSeatHeaterActions.HvacSeatHeaterAction
COOLER = cs.HvacSeatCoolerActions.HvacSeatCoolerAction
AUTO_SEAT = cs.AutoSeatClimateAction.CarSeat
HERE = {"lat": 52.52, "lon": 13.405}
PLACE = {"latitude": 52.52, "longitude": 13.405}

EXPECTED: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"chargingSetLimitAction": {"percent": 70}}, "set_charge_limit", {"percent": 70}),
    (
        {"chargingStartStopAction": cs.ChargingStartStopAction(start=Void())},
        "charge_start",
        {},
    ),
    ({"chargingStartStopAction": cs.ChargingStartStopAction(stop=Void())}, "charge_stop", {}),
    (
        {"chargingStartStopAction": cs.ChargingStartStopAction(start_standard=Void())},
        "charge_standard",
        {},
    ),
    (
        {"chargingStartStopAction": cs.ChargingStartStopAction(start_max_range=Void())},
        "charge_max_range",
        {},
    ),
    ({"setChargingAmpsAction": {"charging_amps": 16}}, "set_charging_amps", {"charging_amps": 16}),
    (
        {"scheduledChargingAction": {"enabled": True, "charging_time": 120}},
        "set_scheduled_charging",
        {"enable": True, "time": 120},
    ),
    (
        {
            "scheduledDepartureAction": cs.ScheduledDepartureAction(
                enabled=True,
                departure_time=480,
                preconditioning_times=PreconditioningTimes(weekdays=Void()),
                off_peak_charging_times=OffPeakChargingTimes(all_week=Void()),
                off_peak_hours_end_time=360,
            )
        },
        "set_scheduled_departure",
        {
            "enable": True,
            "departure_time": 480,
            "preconditioning_enabled": True,
            "preconditioning_weekdays_only": True,
            "off_peak_charging_enabled": True,
            "off_peak_charging_weekdays_only": False,
            "end_off_peak_time": 360,
        },
    ),
    (
        {
            "addChargeScheduleAction": ChargeSchedule(
                days_of_week=62,
                enabled=True,
                start_enabled=True,
                start_time=60,
                name="home",
                **PLACE,
            )
        },
        "add_charge_schedule",
        {
            "days_of_week": 62,
            "enabled": True,
            **HERE,
            "start_enabled": True,
            "end_enabled": False,
            "start_time": 60,
            "end_time": 0,
            "one_time": False,
            "name": "home",
        },
    ),
    (
        {
            "addPreconditionScheduleAction": PreconditionSchedule(
                id=9, days_of_week=1, enabled=True, precondition_time=400, one_time=True, **PLACE
            )
        },
        "add_precondition_schedule",
        {
            "days_of_week": 1,
            "enabled": True,
            **HERE,
            "precondition_time": 400,
            "one_time": True,
            "id": 9,
        },
    ),
    ({"removeChargeScheduleAction": {"id": 5}}, "remove_charge_schedule", {"id": 5}),
    ({"removePreconditionScheduleAction": {"id": 5}}, "remove_precondition_schedule", {"id": 5}),
    (
        {"batchRemoveChargeSchedulesAction": {"home": True}},
        "batch_remove_charge_schedules",
        {"home": True, "work": False, "other": False},
    ),
    (
        {"batchRemovePreconditionSchedulesAction": {"other": True}},
        "batch_remove_precondition_schedules",
        {"home": False, "work": False, "other": True},
    ),
    ({"chargePortDoorOpen": {}}, "charge_port_door_open", {}),
    ({"chargePortDoorClose": {}}, "charge_port_door_close", {}),
    ({"hvacAutoAction": {"power_on": True}}, "auto_conditioning_start", {}),
    ({"hvacAutoAction": {}}, "auto_conditioning_stop", {}),
    (
        {
            "hvacTemperatureAdjustmentAction": {
                "driver_temp_celsius": 20.7,
                "passenger_temp_celsius": 22.3,
            }
        },
        "set_temps",
        {"driver_temp": 20.7, "passenger_temp": 22.3},
    ),
    (
        {"hvacSetPreconditioningMaxAction": {"on": True}},
        "set_preconditioning_max",
        {"on": True, "manual_override": False},
    ),
    (
        {"hvacBioweaponModeAction": {"on": True, "manual_override": True}},
        "set_bioweapon_mode",
        {"on": True, "manual_override": True},
    ),
    (
        {"hvacClimateKeeperAction": {"ClimateKeeperAction": 2}},
        "set_climate_keeper_mode",
        {"climate_keeper_mode": 2, "manual_override": False},
    ),
    (
        {
            "hvacSeatHeaterActions": cs.HvacSeatHeaterActions(
                hvacSeatHeaterAction=[SEAT(SEAT_HEATER_HIGH=Void(), CAR_SEAT_REAR_CENTER=Void())]
            )
        },
        "remote_seat_heater_request",
        {"heater": 4, "level": 3},
    ),
    (
        {
            "hvacSeatCoolerActions": cs.HvacSeatCoolerActions(
                hvacSeatCoolerAction=[COOLER(seat_cooler_level=2, seat_position=2)]
            )
        },
        "remote_seat_cooler_request",
        {"seat_position": 2, "seat_cooler_level": 1},
    ),
    (
        {
            "autoSeatClimateAction": cs.AutoSeatClimateAction(
                carseat=[AUTO_SEAT(on=True, seat_position=1)]
            )
        },
        "remote_auto_seat_climate_request",
        {"auto_seat_position": 1, "auto_climate_on": True},
    ),
    (
        {"hvacSteeringWheelHeaterAction": {"power_on": True}},
        "remote_steering_wheel_heater_request",
        {"on": True},
    ),
    (
        {"autoStwHeatAction": {"on": True}},
        "remote_auto_steering_wheel_heat_climate_request",
        {"on": True},
    ),
    (
        {"stwHeatLevelAction": {"stw_heat_level": 3}},
        "remote_steering_wheel_heat_level_request",
        {"level": 3},
    ),
    (
        {"setCabinOverheatProtectionAction": {"on": True, "fan_only": True}},
        "set_cabin_overheat_protection",
        {"on": True, "fan_only": True},
    ),
    ({"setCopTempAction": {"copActivationTemp": 3}}, "set_cop_temp", {"cop_temp": 2}),
    ({"mediaPlayAction": {}}, "media_toggle_playback", {}),
    ({"mediaUpdateVolume": {"volume_absolute_float": 2.3}}, "adjust_volume", {"volume": 2.3}),
    ({"mediaUpdateVolume": {"volume_delta": 1}}, "media_volume_up", {}),
    ({"mediaUpdateVolume": {"volume_delta": -1}}, "media_volume_down", {}),
    ({"mediaNextFavorite": {}}, "media_next_fav", {}),
    ({"mediaPreviousFavorite": {}}, "media_prev_fav", {}),
    ({"mediaNextTrack": {}}, "media_next_track", {}),
    ({"mediaPreviousTrack": {}}, "media_prev_track", {}),
    (
        {"navigationRequest": {"destination": "Alexanderplatz"}},
        "navigation_request",
        {
            "type": "share_ext_content_raw",
            "value": "Alexanderplatz",
            "locale": "en-US",
            "timestamp_ms": 0,
        },
    ),
    (
        {"navigationGpsRequest": {"lat": 52.52, "lon": 13.405, "order": 1}},
        "navigation_gps_request",
        {**HERE, "order": 1},
    ),
    (
        {"navigationGpsDestinationRequest": {"lat": 52.52, "lon": 13.405}},
        "navigation_gps_request",
        {**HERE, "order": 0},
    ),
    (
        {"navigationSuperchargerRequest": {"id": 7}},
        "navigation_sc_request",
        {"id": 7, "order": 0},
    ),
    (
        {"navigationWaypointsRequest": {"waypoints": "refId:a,refId:b"}},
        "navigation_waypoints_request",
        {"waypoints": "refId:a,refId:b"},
    ),
    ({"remoteStartDrive": {}}, "remote_start_drive", {}),
    ({"vehicleControlFlashLightsAction": {}}, "flash_lights", {}),
    ({"vehicleControlHonkHornAction": {}}, "honk_horn", {}),
    (
        {
            "vehicleControlTriggerHomelinkAction": cs.VehicleControlTriggerHomelinkAction(
                location=LatLong(**PLACE), token="t"
            )
        },
        "trigger_homelink",
        {**HERE, "token": "t"},
    ),
    (
        {
            "vehicleControlSunroofOpenCloseAction": cs.VehicleControlSunroofOpenCloseAction(
                vent=Void()
            )
        },
        "sun_roof_control",
        {"state": "vent"},
    ),
    (
        {"vehicleControlWindowAction": cs.VehicleControlWindowAction(close=Void())},
        "window_control",
        {"command": "close"},
    ),
    ({"vehicleControlSetSentryModeAction": {"on": True}}, "set_sentry_mode", {"on": True}),
    (
        {"vehicleControlSetValetModeAction": {"on": True, "password": "1234"}},
        "set_valet_mode",
        {"on": True, "password": "1234"},
    ),
    ({"vehicleControlSetValetModeAction": {}}, "set_valet_mode", {"on": False}),
    ({"vehicleControlResetValetPinAction": {}}, "reset_valet_pin", {}),
    (
        {"vehicleControlSetPinToDriveAction": {"on": True, "password": "1234"}},
        "set_pin_to_drive",
        {"on": True, "password": "1234"},
    ),
    ({"vehicleControlResetPinToDriveAction": {}}, "reset_pin_to_drive_pin", {}),
    ({"vehicleControlResetPinToDriveAdminAction": {}}, "clear_pin_to_drive_admin", {}),
    (
        {"drivingSpeedLimitAction": {"activate": True, "pin": "1234"}},
        "speed_limit_activate",
        {"pin": "1234"},
    ),
    ({"drivingSpeedLimitAction": {"pin": "1234"}}, "speed_limit_deactivate", {"pin": "1234"}),
    (
        {"drivingSetSpeedLimitAction": {"limit_mph": 65.0}},
        "speed_limit_set_limit",
        {"limit_mph": 65},
    ),
    (
        {"drivingClearSpeedLimitPinAction": {"pin": "1234"}},
        "speed_limit_clear_pin",
        {"pin": "1234"},
    ),
    ({"drivingClearSpeedLimitPinAdminAction": {}}, "speed_limit_clear_pin_admin", {}),
    (
        {"parentalControlsAction": {"activate": True, "pin": "1234"}},
        "parental_controls_activate",
        {"pin": "1234"},
    ),
    (
        {"parentalControlsAction": {"pin": "1234"}},
        "parental_controls_deactivate",
        {"pin": "1234"},
    ),
    (
        {"parentalControlsEnableSettingsAction": {"setting": 3, "enable": True}},
        "parental_controls_enable_setting",
        {"setting": 3, "enable": True},
    ),
    (
        {"parentalControlsSetSpeedLimitAction": {"limit_mph": 65.0}},
        "parental_controls_set_speed_limit",
        {"limit_mph": 65},
    ),
    ({"parentalControlsClearPinAdminAction": {}}, "parental_controls_clear_pin_admin", {}),
    ({"guestModeAction": {"GuestModeActive": True}}, "guest_mode", {"enable": True}),
    ({"eraseUserDataAction": {}}, "erase_user_data", {}),
    (
        {"setVehicleNameAction": {"vehicleName": "Kitt"}},
        "set_vehicle_name",
        {"vehicle_name": "Kitt"},
    ),
    (
        {"vehicleControlScheduleSoftwareUpdateAction": {"offset_sec": 60}},
        "schedule_software_update",
        {"offset_sec": 60},
    ),
    ({"vehicleControlCancelSoftwareUpdateAction": {}}, "cancel_software_update", {}),
    ({"setLowPowerModeAction": {"low_power_mode": True}}, "set_low_power_mode", {"enable": True}),
    (
        {"setKeepAccessoryPowerModeAction": {"keep_accessory_power_mode": True}},
        "keep_accessory_power_mode",
        {"enable": True},
    ),
    ({"boomboxAction": {"sound": 2_000}}, "remote_boombox", {"sound": 2_000}),
    ({"takeDrivenoteAction": {"note": "left"}}, "take_drivenote", {"note": "left"}),
    (
        {"uiSetUpcomingCalendarEntries": {"calendar_data": "{}"}},
        "upcoming_calendar_entries",
        {"calendar_data": "{}"},
    ),
]

BY_VCSEC = {
    *(deed.name for deeds in RKE_ACTIONS.values() for deed in deeds.deeds),
    *("open_tonneau", "close_tonneau", "stop_tonneau"),
}


@pytest.mark.parametrize(("members", "name", "parameters"), EXPECTED)
def test_an_action_is_a_command_with_its_parameters(
    members: dict[str, Any], name: str, parameters: dict[str, Any]
) -> None:
    ask = read_infotainment(action(**members))
    assert isinstance(ask, Deeds)
    assert [(deed.name, deed.parameters) for deed in ask.deeds] == [(name, parameters)]
    # As the API would have checked it: the same names, types and ranges.
    assert read_parameters(row_of(name), parameters) == parameters


def test_every_action_is_tried_here_and_every_command_can_be_signed() -> None:
    assert {name for members, _, _ in EXPECTED for name in members} == set(ACTIONS)
    signed = {name for _, name, _ in EXPECTED} | BY_VCSEC
    assert {row.name for row in COMMANDS.values() if row.rest_only or row.name == WAKE_UP} == set(
        UNSIGNED_STILL
    )
    assert set(COMMANDS) - UNSIGNED_STILL <= signed


def test_every_command_has_its_right_in_one_table_and_scopes_follow_from_it() -> None:
    named = [name for names in COMMAND_RIGHTS.values() for name in names]
    assert sorted(named) == sorted(COMMANDS)
    assert {name: SCOPES[right_of(name)] for name in COMMANDS} == {
        name: row.scopes for name, row in COMMANDS.items()
    }


def test_who_is_forgotten_in_the_table_is_no_driver_s() -> None:
    for role in ("DRIVER", "GUEST", "CHARGING_MANAGER", "VEHICLE_MONITOR", "SERVICE"):
        assert right_of("a_command_of_next_year") not in rights_of_role(role)
    assert rights_of(Deeds((Deed("honk_horn", {}), Deed("erase_user_data", {})))) == {
        Right.CONTROL,
        Right.ACCESS,
    }


@pytest.mark.parametrize(
    "members",
    [
        {"dashcamSaveClipAction": {}},
        {"hvacSeatHeaterActions": cs.HvacSeatHeaterActions()},
        {"hvacSeatHeaterActions": cs.HvacSeatHeaterActions(hvacSeatHeaterAction=[SEAT()])},
        {"hvacSeatCoolerActions": cs.HvacSeatCoolerActions(hvacSeatCoolerAction=[COOLER()])},
        {"hvacTemperatureAdjustmentAction": {"delta_celsius": 1.0}},
        {
            "vehicleControlSunroofOpenCloseAction": cs.VehicleControlSunroofOpenCloseAction(
                open=Void()
            )
        },
        {"stwHeatLevelAction": {}},
        {"chargingStartStopAction": {}},
        {"mediaUpdateVolume": {}},
    ],
)
def test_forms_that_no_command_of_ours_has(members: dict[str, Any]) -> None:
    assert isinstance(read_infotainment(action(**members)), Unsupported)


def test_a_huge_step_of_volume_is_no_flood() -> None:
    ask = read_infotainment(action(mediaUpdateVolume={"volume_delta": 2**31 - 1}))
    assert isinstance(ask, Deeds)
    assert len(ask.deeds) == 11


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x12\x00"])
def test_what_asks_nothing(payload: bytes) -> None:
    for read in (read_infotainment, read_vcsec):
        with pytest.raises(UndecodableError):
            read(payload)


def test_vcsec() -> None:
    assert read_vcsec(unsigned(RKEAction=1)) == RKE_ACTIONS[1]
    assert read_vcsec(unsigned(RKEAction=30)) == Deeds((Deed(WAKE_UP, {}),))
    assert isinstance(read_vcsec(unsigned(RKEAction=6)), Unsupported)
    moved = ClosureMoveRequest(rearTrunk=3)
    assert read_vcsec(unsigned(closureMoveRequest=moved)).request == moved
