"""Everything the car says about itself, by catalogue name, in stored units. Reads the model alone.

Rounded to what a sensor gives. `None` is "known to be unavailable": no destination, no schedule.
What a car was not built with is not said at all.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import msgspec

from motorcade.signals.table import SCHEDULE_SLOTS
from motorcade.vehicle import charging, climate, media, navigation
from motorcade.vehicle.body import (
    CHARGER_AMPS_MAX,
    CHARGER_PHASES,
    CHARGER_V,
    DOORS,
    FRONT_SEATS,
    SEATS,
    STANDARD_LIMIT,
    TRUNKS,
    Charge,
    ChargeSchedule,
    Equipment,
    Keeper,
    Lid,
    Overheat,
    PreconditionSchedule,
    Update,
)
from motorcade.vehicle.local_time import minute_of_day, minutes_until
from motorcade.vehicle.model import BATTERY_J, PACK_V, UPDATE_S, Car
from motorcade.vehicle.navigation import PACE_MPS, RANGE_MPJ
from motorcade.wire.command.limits import CHARGE_LIMIT_PERCENT, TEMPERATURES_DEGC

Value = float | bool | str | None
Signals = dict[str, Value]

CENTIMETRES: Final = 7  # decimals of a degree
MEDIA_SOURCE: Final = "Streaming"
RADIO_SOURCE: Final = "FM"
ACCURACY_WAVE_M: Final = 300.0
FAN_MAX: Final = 10
_WINDOWS: Final = ("fd_window", "rd_window", "fp_window", "rp_window")
_DOOR_SIGNALS: Final = {
    door: (f"door_{door}_open", f"window_{door}_open", word)
    for door, word in zip(DOORS, _WINDOWS, strict=True)
}
_TRUNK_SIGNALS: Final = {trunk: f"trunk_{trunk}_open" for trunk in TRUNKS}
_HEATERS: Final = {seat: f"seat_heater_{seat}" for seat in SEATS}
_NO_SCHEDULES: Final[Signals] = {
    f"{kind}_{slot}{part}": ""
    for kind in ("charge_schedule", "precondition_schedule")
    for slot in range(SCHEDULE_SLOTS)
    for part in ("", "_place")
}
_encode: Final = msgspec.json.Encoder().encode


def signals_of(car: Car) -> Signals:
    """All of it, now."""
    signals: Signals = {}
    for part in _PARTS:
        signals.update(part(car))
    return signals


def _accuracy_m(odometer_m: float) -> float:
    """Houses hide a part of the sky: 2 to 6 m, changing on the way."""
    return 2.0 + round(4.0 * abs(math.sin(odometer_m / ACCURACY_WAVE_M)))


def _driving(car: Car) -> Signals:
    place = car.place
    return {
        "vehicle_speed": round(car.speed_mps, 2),
        "longitudinal_acceleration": round(car.acceleration_mps2, 2),
        "odometer": round(car.odometer_m, 1),
        "latitude": round(place.latitude_deg, CENTIMETRES),
        "longitude": round(place.longitude_deg, CENTIMETRES),
        "gps_heading": round(place.heading_deg, 1),
        "gps_accuracy": _accuracy_m(car.odometer_m),
        "gear": car.gear,
        "drive_power": round(car.drive_power_w),
        "driver_seat_occupied": car.occupied,
        "located_at_home": car.near(*car.home[:2]),
        "located_at_work": car.near(*car.work[:2]),
        "homelink_nearby": bool(car.equipment.homelink_devices) and car.near(*car.home[:2]),
        "asleep": car.asleep,
    }


def _battery(car: Car) -> Signals:
    range_m = round(car.soc * BATTERY_J * RANGE_MPJ)
    return {
        "soc": round(car.soc * 100, 2),
        "battery_level": round(car.soc * 100),
        "energy_remaining": round(car.energy_j),
        "est_battery_range": range_m,
        "rated_range": range_m,
        "ideal_battery_range": range_m,
        "pack_voltage": PACK_V,
        "pack_current": round(0.0 - car.battery_power_w / PACK_V, 1),
        "battery_power": round(car.battery_power_w),
        "lifetime_energy_used": round(car.energy_used_j),
    }


def _doors(car: Car) -> Signals:
    body, now_s = car.body, car.elapsed_s
    signals: Signals = {
        "locked": body.locked,
        "horn_active": now_s < body.horn_until_s,
        "lights_flashing": now_s < body.lights_until_s,
        "homelink_active": now_s < body.homelink_until_s,
        "boombox_active": now_s < body.boombox_until_s,
        "charge_port_door_open": body.charging.port_open,
        "charge_port_latch": "Engaged" if car.plugged else "Disengaged",
    }
    for door, (opened, window, word) in _DOOR_SIGNALS.items():
        percent = body.windows_percent[door]
        signals[opened] = body.doors_open[door]
        signals[window] = percent
        signals[word] = _opening(percent, "Opened")
    for trunk, opened in _TRUNK_SIGNALS.items():
        signals[opened] = body.trunks_open[trunk]
    if car.equipment.sun_roof:
        signals["sun_roof_open"] = round(body.sun_roof.percent, 1)
        signals["sun_roof_state"] = _roof_state(body.sun_roof)
    if car.equipment.tonneau:
        signals["tonneau_open_percent"] = round(body.tonneau.percent, 1)
        signals["tonneau_position"] = _opening(body.tonneau.percent, "FullyOpen")
    return signals


def _opening(percent: float, full: str) -> str:
    """Tesla's word for how far something is open."""
    return "Closed" if percent == 0 else full if percent >= 90 else "PartiallyOpen"


def _roof_state(lid: Lid) -> str:
    if not lid.at_rest:
        return "moving"
    return "closed" if lid.percent == 0 else "vent"


def _climate(car: Car) -> Signals:
    body, state = car.body, car.body.climate
    on = climate.wanted(body)
    fan = _fan(car)
    signals: Signals = {
        "inside_temp": round(car.inside_degc, 1),
        "outside_temp": round(car.outside_degc, 1),
        "climate_on": body.climate_on,
        "climate_power": round(state.load_w),
        "hvac_left_temperature_request": body.driver_temp_degc,
        "hvac_right_temperature_request": body.passenger_temp_degc,
        "hvac_temperature_min": TEMPERATURES_DEGC[0],
        "hvac_temperature_max": TEMPERATURES_DEGC[1],
        "hvac_power": _hvac_power(car),
        "hvac_auto_mode": "On",
        "hvac_ac_enabled": fan > 0 and state.overheat is not Overheat.FAN_ONLY,
        "hvac_fan_status": fan,
        "hvac_fan_speed": fan,
        "preconditioning_enabled": state.preconditioning,
        "climate_keeper_mode": state.keeper.value,
        "defrost_mode": "Max" if state.defrost else "Off",
        "defrost_for_preconditioning": state.defrost,
        "rear_defrost_enabled": state.defrost,
        "wiper_heat_enabled": state.defrost,
        "cabin_overheat_protection_mode": state.overheat.value,
        "cabin_overheat_protection_temperature_limit": state.overheat_limit,
        "cabin_overheat_active": state.protecting,
        "remote_comfort_enabled": on,
        "hvac_steering_wheel_heat_level": state.wheel_level,
        "hvac_steering_wheel_heat_auto": state.wheel_auto,
        "auto_seat_climate_left": state.seat_auto["left"],
        "auto_seat_climate_right": state.seat_auto["right"],
    }
    for seat, name in _HEATERS.items():
        signals[name] = state.seat_heaters[seat]
    if car.equipment.seat_coolers:
        signals["seat_vent_enabled"] = any(state.seat_coolers.values())
        for seat in FRONT_SEATS:
            signals[f"climate_seat_cooling_front_{seat}"] = state.seat_coolers[seat]
    if car.equipment.bioweapon:
        signals["bioweapon_mode"] = state.bioweapon
    return signals


def _fan(car: Car) -> int:
    """0 to 10, by the power that the climate takes."""
    if car.body.climate.bioweapon:
        return FAN_MAX
    return min(-(-int(car.body.climate.load_w) * FAN_MAX // int(climate.CLIMATE_W)), FAN_MAX)


def _hvac_power(car: Car) -> str:
    state = car.body.climate
    if state.preconditioning or state.defrost:
        return "Precondition"
    if car.body.climate_on or state.keeper is not Keeper.OFF:
        return "On"
    return "OverheatProtect" if state.protecting else "Off"


def _charging(car: Car) -> Signals:
    body, settings = car.body, car.body.charging
    power_w = car.charger_power_w
    to_full_s = charging.seconds_to_full(car)
    on = body.charge is Charge.CHARGING
    start_s = charging.next_start_unix_s(car) if car.plugged or settings.start_minute else None
    return {
        "detailed_charge_state": body.charge.value,
        "charge_limit_soc": round(body.charge_limit * 100, 1),
        "charge_limit_soc_min": float(CHARGE_LIMIT_PERCENT[0]),
        "charge_limit_soc_max": float(CHARGE_LIMIT_PERCENT[1]),
        "charge_limit_soc_standard": STANDARD_LIMIT * 100,
        "charge_cable_connected": car.plugged,
        "charging_cable_type": "IEC" if car.plugged else "SNA",
        "fast_charger_present": False,
        "ac_charging_power": power_w,
        "charger_voltage": CHARGER_V if power_w else 0.0,
        "charger_phases": CHARGER_PHASES if on else 0,
        "charge_current": charging.current_a(car) if on else 0.0,
        "charge_amps": charging.current_a(car) if on else 0.0,
        "charge_current_request": min(settings.amps, CHARGER_AMPS_MAX),
        "charge_current_request_max": CHARGER_AMPS_MAX,
        "charge_enable_request": on or body.charge is Charge.COMPLETE,
        "charge_energy_added": round(settings.session_j),
        "charge_rate": round(power_w * charging.CHARGING * RANGE_MPJ, 2),
        "time_to_full_charge": round(to_full_s) if on and to_full_s < 1e6 else 0,
        "scheduled_charging_mode": _mode(car),
        "scheduled_charging_pending": settings.pending,
        "scheduled_charging_start_time": None if start_s is None else round(start_s),
        "managed_charging_active": settings.managed_amps is not None
        or settings.managed_minute is not None,
    } | _departure(car)


def _mode(car: Car) -> str:
    settings = car.body.charging
    if settings.start_minute is not None:
        return "StartAt"
    return "Off" if settings.departure is None else "DepartBy"


def _departure(car: Car) -> Signals:
    departure = car.body.charging.departure
    if departure is None:
        return {
            "scheduled_departure_time": None,
            "departure_preconditioning": False,
            "off_peak_charging": False,
            "off_peak_end_minute": None,
        }
    wait = minutes_until(departure.departure_minute, minute_of_day(car.local_s))
    return {
        "scheduled_departure_time": round(car.unix_s + wait * 60.0),
        "departure_preconditioning": departure.preconditioning,
        "off_peak_charging": departure.off_peak,
        "off_peak_end_minute": departure.off_peak_end_minute,
    }


def _navigation(car: Car) -> Signals:
    stops = car.body.stops
    left_m = navigation.left_m(car)
    known = left_m is not None
    left_j = car.energy_j - (left_m or 0.0) / RANGE_MPJ
    return {
        "navigation_destination": car.body.destination,
        "destination_name": car.body.destination,
        "destination_latitude": stops[0].latitude_deg if stops else None,
        "destination_longitude": stops[0].longitude_deg if stops else None,
        "distance_to_arrival": round(left_m) if left_m is not None else None,
        "time_to_arrival": round(left_m / PACE_MPS) if left_m is not None else None,
        "expected_energy_percent_at_trip_arrival": (
            max(round(100 * left_j / BATTERY_J), -100) if known else None
        ),
        "navigation_stop_count": len(stops),
    }


def _media(car: Car) -> Signals:
    player = car.body.media
    heard = car.occupied
    track = media.now_playing(player) if heard else None
    station = media.STATIONS[player.station] if heard and player.favourite else ""
    status = "Playing" if player.playing else "Paused"
    return {
        "media_playback_status": status if heard else "Stopped",
        "media_playback_source": (RADIO_SOURCE if station else MEDIA_SOURCE) if heard else "",
        "media_audio_volume": player.volume,
        "media_audio_volume_increment": media.VOLUME_STEP,
        "media_audio_volume_max": media.VOLUME_MAX,
        "media_now_playing_title": track.title if track else "",
        "media_now_playing_artist": track.artist if track else "",
        "media_now_playing_album": track.album if track else "",
        "media_now_playing_station": station,
        "media_now_playing_duration": track.duration_s if track else 0.0,
        "media_now_playing_elapsed": player.position_s if heard else 0.0,
    }


def _security(car: Car) -> Signals:
    security = car.body.security
    armed = "Armed" if car.parked and car.body.locked else "Idle"
    return {
        "sentry_mode": armed if security.sentry else "Off",
        "valet_mode_enabled": security.valet,
        "valet_pin_set": bool(security.valet_pin),
        "pin_to_drive_enabled": security.pin_to_drive,
        "pin_to_drive_pin_set": bool(security.pin_to_drive_pin),
        "speed_limit_mode": security.speed_limit,
        "speed_limit_pin_set": bool(security.speed_limit_pin),
        "current_limit": round(security.speed_limit_mps, 3),
        "parental_controls_active": security.parental,
        "parental_controls_pin_set": bool(security.parental_pin),
        "parental_controls_settings": ",".join(sorted(security.parental_settings)),
        "parental_controls_limit": round(security.parental_limit_mps, 3),
        "guest_mode_enabled": security.guest,
        "remote_start_enabled": True,
        "remote_start_active": car.elapsed_s < security.remote_start_until_s,
    }


def _software(car: Car) -> Signals:
    software, settings = car.body.software, car.body.settings
    scheduled = software.update is Update.SCHEDULED
    due_unix_s = car.unix_s - car.elapsed_s + software.due_s
    installing = software.update is Update.INSTALLING
    done = UPDATE_S - (software.done_s - car.elapsed_s) if installing else 0.0
    return {
        "version": software.version,
        "software_update_status": software.update.value,
        "software_update_version": software.update_version,
        "software_update_scheduled_start_time": round(due_unix_s) if scheduled else None,
        "software_update_download_percent_complete": 100 if software.update_version else 0,
        "software_update_installation_percent_complete": round(100 * done / UPDATE_S),
        "software_update_expected_duration": UPDATE_S,
        "vehicle_name": settings.name,
        "low_power_mode": settings.low_power,
        "accessory_power_mode": settings.accessory_power,
        "drive_note_count": len(settings.drive_notes),
        "calendar_size": settings.calendar_bytes,
    }


def _schedules(car: Car) -> Signals:
    """A signal for each of the first schedules, and one for its place; the others are empty."""
    if not (car.body.charging.schedules or car.body.climate.schedules):
        return _NO_SCHEDULES
    signals = dict(_NO_SCHEDULES)
    rows: tuple[tuple[str, dict[int, Any]], ...] = (
        ("charge_schedule", car.body.charging.schedules),
        ("precondition_schedule", car.body.climate.schedules),
    )
    for kind, schedules in rows:
        for slot, one in enumerate(list(schedules.values())[:SCHEDULE_SLOTS]):
            signals[f"{kind}_{slot}"] = _encode(_schedule(one)).decode()
            signals[f"{kind}_{slot}_place"] = f"{one.latitude_deg:.6f},{one.longitude_deg:.6f}"
    return signals


def _schedule(schedule: ChargeSchedule | PreconditionSchedule) -> dict[str, Any]:
    """As Tesla's `vehicle_data` has it, without the place."""
    common = {
        "id": schedule.id,
        "name": schedule.name,
        "days_of_week": schedule.days,
        "enabled": schedule.enabled,
        "one_time": schedule.one_time,
    }
    if isinstance(schedule, PreconditionSchedule):
        return common | {"precondition_time": schedule.minute}
    return common | {
        "start_enabled": schedule.start_minute is not None,
        "start_time": schedule.start_minute or 0,
        "end_enabled": schedule.end_minute is not None,
        "end_time": schedule.end_minute or 0,
    }


def _built(car: Car) -> Signals:
    """What does not change."""
    return _built_as(car.equipment)


@lru_cache(maxsize=64)
def _built_as(built: Equipment) -> Signals:
    return {
        "car_type": built.car_type,
        "trim": built.trim,
        "exterior_color": built.exterior_color,
        "wheel_type": built.wheel_type,
        "charge_port": "CCS",
        "europe_vehicle": True,
        "right_hand_drive": False,
        "sunroof_installed": "Gen2Installed" if built.sun_roof else "NotInstalled",
        "homelink_device_count": built.homelink_devices,
        "seat_cooling_installed": built.seat_coolers,
        "setting_distance_unit": "Kilometers",
        "setting_temperature_unit": "Celsius",
        "setting_tire_pressure_unit": "Bar",
        "setting_charge_unit": "Percent",
        "setting_24_hour_time": True,
    }


_PARTS: Final[tuple[Callable[[Car], Signals], ...]] = (
    *(_driving, _battery, _doors, _climate, _charging, _navigation, _media, _security, _software),
    *(_schedules, _built),
)
