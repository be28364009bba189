/** What is drawn over the map with a plain pen: density cells, the selected car, an area. */

import type { Cell } from "./cars";
import { count } from "./format";

/** Longitude and latitude in degrees to pixels of the canvas. */
export type Project = (place: [number, number]) => { x: number; y: number };

const RING_PX = 26; // around the selected car where nobody knows how exact its fix is
const RING_PX_MIN = 13; // an exact fix's ring still goes around the car
const EQUATOR_M = 40_075_017;
const TILE_PX = 512;

/** Pixels in a metre on the ground at that latitude. */
export function perMetre(zoom: number, lat: number): number {
  return (TILE_PX * 2 ** zoom) / (EQUATOR_M * Math.cos((lat * Math.PI) / 180));
}

/** The radius in pixels of the ring around a fix; `accuracyM` null: it does not tell. */
export function ringPx(accuracyM: number | null, pixelsPerMetre: number): number {
  return accuracyM === null ? RING_PX : Math.max(RING_PX_MIN, accuracyM * pixelsPerMetre);
}

/** The canvas, as large as its box and empty. */
export function cleared(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  const pen = canvas.getContext("2d");
  if (!pen) return null;
  const ratio = devicePixelRatio;
  const { clientWidth, clientHeight } = canvas;
  const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, clientWidth, clientHeight);
  return pen;
}

export function drawCells(pen: CanvasRenderingContext2D, cells: Cell[], project: Project, dark: boolean): void {
  const most = cells.reduce((top, cell) => Math.max(top, cell.count), 1);
  pen.font = '550 11px "Inter", system-ui, sans-serif';
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const cell of cells) {
    const half = cell.size / 2;
    const a = project([cell.lon - half, cell.lat + half]);
    const b = project([cell.lon + half, cell.lat - half]);
    const share = Math.sqrt(cell.count / most);
    // one hue, lightness rising with the count (falling on a light ground)
    const light = dark ? 18 + 34 * share : 90 - 42 * share;
    pen.fillStyle = `hsl(211 ${dark ? 55 : 62}% ${light}% / 85%)`; // the ground shows through
    const side = b.x - a.x;
    pen.fillRect(a.x + 0.5, a.y + 0.5, Math.max(1, side - 1), Math.max(1, b.y - a.y - 1));
    const text = cell.count < 10_000 ? count(cell.count) : `${Math.round(cell.count / 1000)}k`;
    if (side > pen.measureText(text).width + 6 && b.y - a.y > 14) {
      pen.fillStyle = dark ? (share > 0.85 ? "#ffffff" : "#e8eef5") : share > 0.6 ? "#ffffff" : "#131b24";
      pen.fillText(text, (a.x + b.x) / 2, (a.y + b.y) / 2);
    }
  }
}

/** The selected car's ring, dashed where its accuracy is not told. */
export function drawRing(
  pen: CanvasRenderingContext2D,
  at: { x: number; y: number },
  radius: number,
  colour: string,
  dashed: boolean,
): void {
  pen.beginPath();
  pen.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  pen.globalAlpha = 0.12;
  pen.fillStyle = colour;
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = 1.5;
  pen.strokeStyle = colour;
  pen.setLineDash(dashed ? [3, 4] : []);
  pen.stroke();
  pen.setLineDash([]);
}

/** A name beside the car that stands there. */
export function drawName(pen: CanvasRenderingContext2D, at: { x: number; y: number }, name: string, dark: boolean): void {
  pen.font = '600 12px "Inter", system-ui, sans-serif';
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  const width = pen.measureText(name).width;
  pen.fillStyle = dark ? "rgb(11 16 22 / 85%)" : "rgb(255 255 255 / 88%)";
  pen.fillRect(at.x + 15, at.y - 28, width + 8, 18);
  pen.fillStyle = dark ? "#e8eef5" : "#131b24";
  pen.fillText(name, at.x + 19, at.y - 18.5);
}

/** A ring of pixels; open while it is being drawn. */
export function drawArea(pen: CanvasRenderingContext2D, ring: [number, number][], open: boolean, dark: boolean): void {
  if (ring.length < 2) return;
  pen.beginPath();
  for (const [x, y] of ring) pen.lineTo(x, y);
  if (!open) pen.closePath();
  pen.lineWidth = 1.5;
  pen.strokeStyle = dark ? "#7cc4ff" : "#0b62b0";
  pen.fillStyle = dark ? "rgb(124 196 255 / 10%)" : "rgb(11 98 176 / 10%)";
  pen.fill();
  pen.stroke();
}
