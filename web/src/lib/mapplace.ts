/** Places on the map as the address says them, and as the server is asked for them. */

import type { Cars } from "./cars";

const LAT_MAX = 85; // Mercator's map ends there
const STRAYS = 0.02; // of the cars on each side need not be seen
const RING_POINTS_MAX = 40; // what a URL holds with ease

export interface Place {
  zoom: number;
  lat: number;
  lon: number;
}

/** `zoom/lat/lon`; null: it says no place. */
export function readPlace(text: string): Place | null {
  const parts = text.split("/").map(Number);
  if (parts.length !== 3 || parts.some((part) => !Number.isFinite(part))) return null;
  return { zoom: parts[0], lat: Math.max(-LAT_MAX, Math.min(LAT_MAX, parts[1])), lon: parts[2] };
}

export function writePlace({ zoom, lat, lon }: Place): string {
  return `${zoom.toFixed(2)}/${lat.toFixed(5)}/${lon.toFixed(5)}`;
}

/** `lon,lat;lon,lat;…` in degrees. */
export function readRing(text: string): [number, number][] {
  return text
    .split(";")
    .map((pair) => pair.split(",").map(Number))
    .filter((pair): pair is [number, number] => pair.length === 2 && pair.every(Number.isFinite));
}

/** `null`: too few points to hold anything. */
export function writeRing(ring: { lng: number; lat: number }[]): string | null {
  const every = Math.max(1, Math.ceil(ring.length / RING_POINTS_MAX));
  const kept = ring.filter((_, index) => index % every === 0);
  if (kept.length < 3) return null;
  return kept.map(({ lng, lat }) => `${lng.toFixed(5)},${lat.toFixed(5)}`).join(";");
}

/** West, south, east, north as the server takes them: a view around the world is all of it. */
export function viewOf(west: number, south: number, east: number, north: number): [number, number, number, number] {
  const whole = east - west >= 360;
  const turned = (lon: number): number => ((((lon + 180) % 360) + 360) % 360) - 180;
  return [whole ? -180 : turned(west), Math.max(-90, south), whole ? 180 : turned(east), Math.min(90, north)];
}

/** What holds all cars, or cells of them, but for strays: its south-west and north-east. */
export function extentOf(cars: Cars): [[number, number], [number, number]] | null {
  const west: number[] = [];
  const south: number[] = [];
  const east: number[] = [];
  const north: number[] = [];
  for (const { lon, lat, size } of cars.cells) {
    west.push(lon - size / 2);
    east.push(lon + size / 2);
    south.push(Math.max(-LAT_MAX, lat - size / 2));
    north.push(Math.min(LAT_MAX, lat + size / 2));
  }
  for (let slot = 0; slot < cars.used && !cars.dense; slot++) {
    if (!cars.drawn(slot)) continue;
    west.push(cars.lon[slot] * 1e-7);
    south.push(cars.lat[slot] * 1e-7);
  }
  if (west.length === 0) return null;
  const at = (list: number[], share: number): number =>
    list.sort((a, b) => a - b)[Math.round((list.length - 1) * share)];
  return [
    [at(west, STRAYS), at(south, STRAYS)],
    [at(cars.dense ? east : west, 1 - STRAYS), at(cars.dense ? north : south, 1 - STRAYS)],
  ];
}
