/** The ground under the cars: files of the page itself (public/basemap, its README has the forms).
 * Nothing is asked of any other host; labels are drawn from the page's own font. */

import type { Feature, FeatureCollection, GeoJsonProperties, Geometry, MultiLineString } from "geojson";
import type { LayerSpecification, Map as MapLibre, StyleSpecification } from "maplibre-gl";
import { mark } from "./marks";

type Theme = "dark" | "light";
type Ring = number[];
type GeoJson = FeatureCollection;

interface Colours {
  sea: string;
  land: string;
  border: string;
  park: string;
  rail: string;
  street: string;
  artery: string;
  label: string;
  halo: string;
}

const COLOURS: Record<Theme, Colours> = {
  dark: { sea: "#0b1016", land: "#111821", border: "#2a3747", park: "#121d22", rail: "#1c2732", street: "#222e3b", artery: "#34465a", label: "#8494a5", halo: "#111821" },
  light: { sea: "#edf3f9", land: "#f4f6f9", border: "#c3ced9", park: "#e7efe8", rail: "#dde3ea", street: "#d6dee7", artery: "#bdc9d6", label: "#5b6a79", halo: "#f4f6f9" },
};

/** Widths in px at zooms 10, 13 and 16, by class: motorway first. */
const WIDTHS = [
  [2.2, 6, 13],
  [2, 5.4, 12],
  [1.7, 4.6, 11],
  [1.4, 4, 10],
  [0.9, 3, 8.5],
  [0.4, 1.6, 6],
];
const ARTERIES = 4; // so many classes are drawn stronger
const MINOR_ZOOM = 12;

export const ATTRIBUTION = "© OpenStreetMap contributors · GeoNames · Natural Earth";

export function emptyStyle(theme: Theme): StyleSpecification {
  return {
    version: 8,
    sources: {},
    layers: [{ id: "ground", type: "background", paint: { "background-color": COLOURS[theme].sea } }],
    transition: { duration: 0, delay: 0 },
  };
}

/** Add what there is below the layer `below`, once `cars` are there: they are what one came to see.
 * A file that is missing leaves its part out. Part by part, with a pause for the cars between. */
export async function addBasemap(map: MapLibre, theme: () => Theme, below: string, cars: Promise<void>): Promise<void> {
  await cars;
  const parts: [Promise<unknown>, (told: never) => [string, GeoJson][]][] = [
    [load<Streets>("streets"), (told: Streets) => [["streets", ways(told)], ["parks", parks(told)]]],
    [load<Countries>("countries"), (told: Countries) => [["countries", land(told)]]],
    [load<Cities>("cities"), (told: Cities) => [["cities", towns(told)]]],
  ];
  for (const [loading, read] of parts) {
    const told = await loading;
    await pause();
    if (told === null) continue;
    for (const [id, data] of read(told as never)) {
      map.addSource(id, { type: "geojson", data, tolerance: 0.3, buffer: 32 });
    }
    addLayers(map, theme(), below);
    mark("streets");
  }
}

/** Add the layers whose source is there, each in its place among those that are. */
function addLayers(map: MapLibre, theme: Theme, below: string): void {
  let above = map.getLayer(below) ? below : undefined;
  for (const layer of layers(theme).reverse()) {
    if ("source" in layer && map.getSource(layer.source) === undefined) continue;
    if (map.getLayer(layer.id) === undefined) map.addLayer(layer, above);
    above = layer.id;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

export function paintBasemap(map: MapLibre, theme: Theme): void {
  for (const layer of layers(theme)) {
    if (map.getLayer(layer.id) === undefined) continue;
    for (const [name, value] of Object.entries(layer.paint ?? {})) {
      map.setPaintProperty(layer.id, name as never, value as never);
    }
  }
}

function layers(theme: Theme): LayerSpecification[] {
  const c = COLOURS[theme];
  const width = (which: number): unknown[] => [
    "match",
    ["get", "class"],
    ...WIDTHS.flatMap((widths, index) => [index, widths[which]]),
    0.5,
  ];
  const wide = ["interpolate", ["exponential", 1.5], ["zoom"], 10, width(0), 13, width(1), 16, width(2)];
  const text = {
    "text-font": ["Inter"],
    "text-size": 11,
    "text-padding": 6,
    "text-field": ["get", "name"],
  };
  const ink = { "text-color": c.label, "text-halo-color": c.halo, "text-halo-width": 1.4 };
  return [
    { id: "ground", type: "background", paint: { "background-color": c.sea } },
    { id: "land", type: "fill", source: "countries", paint: { "fill-color": c.land, "fill-antialias": true } },
    { id: "parks", type: "fill", source: "parks", minzoom: 10, paint: { "fill-color": c.park } },
    { id: "borders", type: "line", source: "countries", paint: { "line-color": c.border, "line-width": 0.8 } },
    { id: "rails", type: "line", source: "streets", minzoom: 11, filter: ["==", ["get", "class"], -1], paint: { "line-color": c.rail, "line-width": 1, "line-dasharray": [4, 2] } },
    { id: "minor", type: "line", source: "streets", minzoom: MINOR_ZOOM, filter: [">=", ["get", "class"], 5], layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": c.street, "line-width": wide } },
    { id: "streets", type: "line", source: "streets", minzoom: 9, filter: ["all", [">=", ["get", "class"], 0], ["<", ["get", "class"], 5]], layout: { "line-cap": "round", "line-join": "round", "line-sort-key": ["-", 9, ["get", "class"]] }, paint: { "line-color": ["case", ["<", ["get", "class"], ARTERIES], c.artery, c.street], "line-width": wide } },
    { id: "street-names", type: "symbol", source: "streets", minzoom: 14, filter: ["!=", ["get", "name"], ""], layout: { ...text, "symbol-placement": "line", "symbol-spacing": 400 }, paint: ink },
    { id: "cities", type: "symbol", source: "cities", maxzoom: 13, layout: { ...text, "text-size": ["interpolate", ["linear"], ["get", "people"], 100_000, 11, 10_000_000, 13], "symbol-sort-key": ["-", 0, ["get", "people"]] }, paint: ink },
  ] as LayerSpecification[];
}

// --- the files ---

interface Countries {
  scale: number;
  countries: { name: string; polygons: Ring[][] }[];
}
interface Streets {
  scale: number;
  streets: { class: number; name: string; lines: number[][] }[];
  railways: number[][];
  parks: Ring[];
}
interface Cities {
  cities: [string, number, number, number, number][];
}

/** Asked for at once, read when it is wanted. */
const early = new Map(["streets", "countries", "cities"].map((name) => [name, ask(name)]));

function ask(name: string): Promise<Response | null> {
  return fetch(`/basemap/${name}.json`).catch(() => null);
}

async function load<T>(name: string): Promise<T | null> {
  const answer = await (early.get(name) ?? ask(name));
  early.delete(name); // a body is read once
  return answer?.ok ? ((await answer.json()) as T) : null;
}

/** A file's line: a point, then differences, in units of `scale` degrees. */
function points(line: number[], scale: number): [number, number][] {
  const out: [number, number][] = [];
  for (let i = 0, x = 0, y = 0; i < line.length; i += 2) {
    x += line[i];
    y += line[i + 1];
    out.push([x * scale, y * scale]);
  }
  return out;
}

function collection(features: Feature[]): GeoJson {
  return { type: "FeatureCollection", features };
}

function feature(geometry: Geometry, properties: GeoJsonProperties = {}): Feature {
  return { type: "Feature", geometry, properties };
}

function land({ countries, scale }: Countries): GeoJson {
  return collection(
    countries.map(({ name, polygons }) =>
      feature(
        { type: "MultiPolygon", coordinates: polygons.map((rings) => rings.map((ring) => points(ring, scale))) },
        { name },
      ),
    ),
  );
}

function ways({ streets, railways, scale }: Streets): GeoJson {
  const lines = (all: number[][]): MultiLineString => ({
    type: "MultiLineString",
    coordinates: all.map((line) => points(line, scale)),
  });
  return collection([
    ...streets.map((street) => feature(lines(street.lines), { class: street.class, name: street.name })),
    feature(lines(railways), { class: -1, name: "" }),
  ]);
}

function parks({ parks: rings, scale }: Streets): GeoJson {
  return collection(rings.map((ring) => feature({ type: "Polygon", coordinates: [points(ring, scale)] })));
}

function towns({ cities }: Cities): GeoJson {
  return collection(
    cities.map(([name, lon, lat, people]) => feature({ type: "Point", coordinates: [lon, lat] }, { name, people })),
  );
}
