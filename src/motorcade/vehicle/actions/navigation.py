"""Where to go: a shared text, coordinates, a charging site, a list of places."""

from typing import Any, Final

from motorcade.vehicle import navigation
from motorcade.vehicle.actions.action import ACCEPTED, INVALID, Action, Parameters, place, whole
from motorcade.vehicle.body import Stop
from motorcade.vehicle.model import Car
from motorcade.wire.command.limits import ID_MAX

ORDER_MAX: Final = 3
NAME_CHARACTERS_MAX: Final = 200
SHARED: Final = "android.intent.extra.TEXT"  # where phones put what they share


def _order_wrong(parameters: Parameters) -> bool:
    return parameters.get("order") is not None and whole(parameters, "order", 0, ORDER_MAX) is None


def _go(car: Car, stops: list[Stop], parameters: Parameters) -> None:
    order = parameters.get("order")
    navigation.add(car.body.stops, stops, 0 if order is None else int(order))


def _refuse_gps(_car: Car, parameters: Parameters) -> str:
    return INVALID if place(parameters) is None or _order_wrong(parameters) else ACCEPTED


def _gps(car: Car, parameters: Parameters) -> None:
    latitude_deg, longitude_deg = float(parameters["lat"]), float(parameters["lon"])
    name = f"{latitude_deg:.6f},{longitude_deg:.6f}"
    _go(car, [Stop(name, latitude_deg, longitude_deg)], parameters)


def _shared(value: Any) -> str:
    """The text that a phone shared: its last line is the address, or a link."""
    if isinstance(value, dict):
        value = value.get(SHARED)
    return _name(value) if isinstance(value, str) else ""


def _name(text: str) -> str:
    return " ".join(text.split())[:NAME_CHARACTERS_MAX]


def _refuse_request(_car: Car, parameters: Parameters) -> str:
    return ACCEPTED if _shared(parameters.get("value")) else INVALID


def _request(car: Car, parameters: Parameters) -> None:
    _go(car, [Stop(_shared(parameters["value"]))], parameters)


def _refuse_site(_car: Car, parameters: Parameters) -> str:
    wrong = whole(parameters, "id", 0, ID_MAX) is None or _order_wrong(parameters)
    return INVALID if wrong else ACCEPTED


def _site(car: Car, parameters: Parameters) -> None:
    _go(car, [Stop(f"Supercharger {int(parameters['id'])}")], parameters)


def _waypoints(parameters: Parameters) -> list[Stop]:
    """`refId:...,refId:...` as one text, or a list of texts."""
    told = parameters.get("waypoints")
    parts = told.split(",") if isinstance(told, str) else told if isinstance(told, list) else []
    names = [_name(part) for part in parts if isinstance(part, str)]
    return [Stop(name) for name in names if name]


def _refuse_waypoints(_car: Car, parameters: Parameters) -> str:
    stops = _waypoints(parameters)
    return ACCEPTED if 0 < len(stops) <= navigation.STOPS_MAX else INVALID


def _follow(car: Car, parameters: Parameters) -> None:
    _go(car, _waypoints(parameters), parameters)


ACTIONS: Final[dict[str, Action]] = {
    "navigation_request": Action(_refuse_request, _request),
    "navigation_gps_request": Action(_refuse_gps, _gps),
    "navigation_sc_request": Action(_refuse_site, _site),
    "navigation_waypoints_request": Action(_refuse_waypoints, _follow),
}
