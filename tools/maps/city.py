"""The demo city: which box of the extract is taken, and what is said of it."""

NAME = "Heidelberg"
BOX = (8.55, 49.32, 8.86, 49.50)  # west, south, east, north; WGS 84 degrees
CENTRE = (8.68, 49.405)  # lon, lat: where a page that knows nothing better begins
OSM_STATE = "2024-09-08"
OSM_ATTRIBUTION = "© OpenStreetMap contributors, ODbL 1.0"
CLASSES = ("motorway", "trunk", "primary", "secondary", "tertiary", "minor")
CLASS_OF_HIGHWAY = {
    "motorway": 0,
    "motorway_link": 0,
    "trunk": 1,
    "trunk_link": 1,
    "primary": 2,
    "primary_link": 2,
    "secondary": 3,
    "secondary_link": 3,
    "tertiary": 4,
    "tertiary_link": 4,
    "unclassified": 5,
    "residential": 5,
    "living_street": 5,
}


def inside(lon: float, lat: float) -> bool:
    west, south, east, north = BOX
    return west <= lon <= east and south <= lat <= north
