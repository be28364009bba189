/** Most of the page's bytes draw the map: they are asked for once, as soon as the address tells. */

type MapPart = typeof import("../parts/MapView.svelte");
let asked: Promise<MapPart> | null = null;

export function mapPart(): Promise<MapPart> {
  asked ??= import("../parts/MapView.svelte").catch((error: unknown) => {
    asked = null; // the next look asks again
    throw error;
  });
  return asked;
}
