/** The ground under the cars, from files of the page itself; without them, a plain one. */

import type { GeoJSONSource, LayerSpecification, Map as MapLibre, StyleSpecification } from "maplibre-gl";

type Theme = "dark" | "light";

const PAINT = {
  dark: { sea: "#0b1016", land: "#111821", border: "#253140", street: "#202b38", artery: "#263444", label: "#8494a5", halo: "#0b1016" },
  light: { sea: "#e3e9f0", land: "#f7f9fb", border: "#c6d0da", street: "#dfe5ec", artery: "#cfd8e2", label: "#5b6a79", halo: "#ffffff" },
};

export function emptyStyle(theme: Theme): StyleSpecification {
  return {
    version: 8,
    sources: {},
    layers: [{ id: "ground", type: "background", paint: { "background-color": PAINT[theme].land } }],
    transition: { duration: 0, delay: 0 },
  };
}

/** Adds what is there below the layer `below`; returns the attributions to show. */
export async function addBasemap(_map: MapLibre, _theme: Theme, _below: string): Promise<string[]> {
  return [];
}

export function paintBasemap(map: MapLibre, theme: Theme): void {
  map.setPaintProperty("ground", "background-color", PAINT[theme].land);
}

export type { GeoJSONSource, LayerSpecification };
