/** The cars on the map: one draw call over `Cars`' columns (dashboard.md §6).
 *
 * The columns go to the GPU as they came over the wire, integers of 1e-7 degrees. The vertex shader
 * takes the anchor, the middle of the view, from them as integers, so nothing is lost to float32;
 * it moves a car on by its speed, fades it by the age of its fix, and the fragment shader draws its
 * shape. What changed is uploaded as a range of slots. */

import type { CustomLayerInterface, CustomRenderMethodInput, Map as MapLibre } from "maplibre-gl";
import { type Cars, MOVES_MS_MAX } from "./cars";
import { COLOURS, STATES } from "./states";

const VERTEX = `#version 300 es
precision highp float;
precision highp int;
in int a_lon;
in int a_lat;
in uint a_fix;      // ms since the base
in uvec2 a_motion;  // cm/s, 1/100 degrees
in uvec2 a_kind;    // state, flags
uniform ivec2 u_anchor;   // 1e-7 degrees
uniform float u_anchor_lat;  // radians
uniform vec2 u_middle;    // the anchor on screen, clip units
uniform vec2 u_scale;     // clip units per radian of Mercator
uniform float u_now;      // ms since the base, less u_now_base
uniform uint u_now_base;
uniform float u_moves;    // ms that a car moves on by itself
uniform float u_size;     // px of a shape
uniform int u_pass;         // 0: those outside the filter, 1: all but alarms, 2: alarms, on top
uniform float u_dot;      // px of a car outside the filter
uniform vec3 u_colours[7];
flat out int v_state;
flat out vec3 v_colour;
flat out float v_alpha;
flat out float v_hollow;
flat out vec2 v_turn;
flat out float v_px;
const float RADIANS = 1.7453292519943295e-9; // per 1e-7 degrees

float along(int a, int from) {
  // beyond half a turn the difference of two int32 may not fit: those are taken as floats
  float d = abs(a / 2 - from / 2) > 1000000000 ? float(a) - float(from) : float(a - from);
  if (d > 1.8e9) d -= 3.6e9;
  if (d < -1.8e9) d += 3.6e9;
  return d * RADIANS;
}

float mercator(float lat) { return log(tan(0.7853981633974483 + 0.5 * lat)); }

void main() {
  uint flags = a_kind.y;
  v_state = int(a_kind.x);
  bool matching = (flags & 4u) != 0u;
  int turn = matching ? (v_state == 6 ? 2 : 1) : 0;
  if ((flags & 3u) != 0u || v_state > 6 || turn != u_pass) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    gl_PointSize = 0.0;
    return;
  }
  // uint differences are exact; the car may be ahead of our clock by a little
  float age = max(0.0, float(int(u_now_base - a_fix)) + u_now);
  float dlon = along(a_lon, u_anchor.x);
  float dlat = float(a_lat - u_anchor.y) * RADIANS;
  float heading = float(a_motion.y) * 1.7453292519943295e-4;
  bool headed = a_motion.y != 65535u;
  if (headed) {
    float radians_moved = float(a_motion.x) * 0.01 * min(age, u_moves) * 0.001 / 6371008.8;
    dlat += radians_moved * cos(heading);
    dlon += radians_moved * sin(heading) / cos(u_anchor_lat + dlat);
  }
  float dy;
  if (abs(dlat) < 0.004) {
    float s = 1.0 / cos(u_anchor_lat);
    float t = tan(u_anchor_lat);
    dy = s * dlat * (1.0 + dlat * (0.5 * t + dlat * (s * s + t * t) / 6.0));
  } else {
    dy = mercator(clamp(u_anchor_lat + dlat, -1.4844, 1.4844)) - mercator(u_anchor_lat);
  }
  gl_Position = vec4(u_middle + vec2(dlon, dy) * u_scale, 0.0, 1.0);
  float size = matching ? u_size * (v_state == 6 ? 1.2 : v_state == 2 ? 0.85 : 1.0) : u_dot;
  gl_PointSize = size;
  v_px = size;
  if (!matching) v_state = -1;
  v_colour = u_colours[matching ? v_state : 2];
  // full to 30 s, 35 % at 5 min, hollow after; who stands still on purpose does not fade
  float fade = clamp((age - 30000.0) / 270000.0, 0.0, 1.0);
  bool rests = v_state == 2 || v_state == 3;
  v_alpha = matching ? (rests ? 0.95 : mix(1.0, 0.35, fade)) : 0.55;
  v_hollow = age > 300000.0 && !rests ? 1.0 : 0.0;
  v_turn = headed && v_state == 0 ? vec2(cos(heading), sin(heading)) : vec2(1.0, 0.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
flat in int v_state;
flat in vec3 v_colour;
flat in float v_alpha;
flat in float v_hollow;
flat in vec2 v_turn;
flat in float v_px;
uniform vec3 u_edge; // the map's ground, around shapes, so that they stay apart
out vec4 colour;

float box(vec2 p, vec2 half_size) {
  vec2 d = abs(p) - half_size;
  return length(max(d, 0.0)) + min(max(d.x, d.y), 0.0);
}
float side(vec2 p, vec2 a, vec2 b) { // distance to the line a-b, positive on its right
  vec2 e = b - a;
  return dot(p - a, vec2(e.y, -e.x)) / length(e);
}
float triangle(vec2 p, vec2 a, vec2 b, vec2 c) {
  return max(side(p, a, b), max(side(p, b, c), side(p, c, a)));
}
// Distances in a square of -1..1, y up; negative inside.
float arrow(vec2 p) {
  float left = triangle(p, vec2(0.0, 0.86), vec2(-0.66, -0.74), vec2(0.0, -0.38));
  float right = triangle(p, vec2(0.0, 0.86), vec2(0.0, -0.38), vec2(0.66, -0.74));
  return min(left, right);
}
float shape(int state, vec2 p) {
  if (state == 0) return arrow(p);
  if (state == 1) return min(box(p - vec2(-0.3, 0.0), vec2(0.16, 0.58)), box(p - vec2(0.3, 0.0), vec2(0.16, 0.58)));
  if (state == 2) return box(p, vec2(0.48));
  if (state == 3) {
    float upper = triangle(p, vec2(0.22, 0.86), vec2(-0.52, -0.12), vec2(0.12, -0.12));
    float lower = triangle(p, vec2(-0.22, -0.86), vec2(0.52, 0.12), vec2(-0.12, 0.12));
    return min(upper, lower);
  }
  if (state == 4) {
    float head = triangle(p, vec2(0.0, 0.84), vec2(-0.6, 0.14), vec2(0.6, 0.14));
    float stem = box(p - vec2(0.0, -0.08), vec2(0.17, 0.3));
    float line = box(p - vec2(0.0, -0.66), vec2(0.6, 0.13));
    return min(min(head, stem), line);
  }
  if (state == 5) return abs(length(p) - 0.5) - 0.13;
  if (state == 6) return triangle(p, vec2(0.0, 0.78), vec2(-0.84, -0.66), vec2(0.84, -0.66));
  return length(p) - 0.8;
}

void main() {
  vec2 p = (gl_PointCoord - 0.5) * vec2(2.0, -2.0);
  p = vec2(p.x * v_turn.x - p.y * v_turn.y, p.x * v_turn.y + p.y * v_turn.x);
  float px = 2.0 / v_px; // one pixel in units of the square
  float d = shape(v_state, p);
  if (v_hollow > 0.5 && v_state != 5) d = abs(d + 1.2 * px) - 0.9 * px;
  float inside = clamp(0.5 - d / px, 0.0, 1.0);
  float edge_px = v_state == 6 ? 2.2 : v_state < 0 ? 0.0 : 1.2;
  float around = edge_px == 0.0 ? 0.0 : clamp(edge_px + 0.5 - d / px, 0.0, 1.0) * (v_hollow > 0.5 ? 0.0 : 0.85);
  float alpha = max(inside, around) * v_alpha;
  if (alpha < 0.01) discard;
  vec3 mixed = mix(u_edge, v_colour, inside / max(max(inside, around), 0.001));
  colour = vec4(mixed * alpha, alpha);
}`;

interface Column {
  buffer: WebGLBuffer;
  data: () => Int32Array | Uint32Array | Uint16Array | Uint8Array;
  perCar: number;
}

export class CarLayer implements CustomLayerInterface {
  readonly id = "cars";
  readonly type = "custom" as const;
  readonly renderingMode = "2d" as const;
  theme: "dark" | "light" = "dark";
  moves = true;
  visible = true;
  #map: MapLibre | null = null;
  #program: WebGLProgram | null = null;
  #vertices: WebGLVertexArrayObject | null = null;
  #columns: Column[] = [];
  #places = new Map<string, WebGLUniformLocation | null>();
  #generation = -1;
  /** Time that uploads took, ms, newest last; read by tests. */
  readonly uploadMs: number[] = [];

  constructor(
    private readonly cars: Cars,
    private readonly nowMs: () => number,
  ) {}

  onAdd(map: MapLibre, gl: WebGLRenderingContext | WebGL2RenderingContext): void {
    this.#map = map;
    this.#program = link(gl as WebGL2RenderingContext);
    this.#columns = [];
    this.#places.clear();
    this.#generation = -1;
  }

  onRemove(_map: MapLibre, gl: WebGLRenderingContext | WebGL2RenderingContext): void {
    for (const column of this.#columns) gl.deleteBuffer(column.buffer);
    if (this.#program) gl.deleteProgram(this.#program);
    this.#columns = [];
    this.#program = null;
  }

  render(context: WebGLRenderingContext | WebGL2RenderingContext, _: CustomRenderMethodInput): void {
    const gl = context as WebGL2RenderingContext;
    const map = this.#map;
    if (map === null || this.#program === null || !this.visible) return;
    const used = this.cars.used;
    this.#upload(gl);
    if (used === 0 || this.cars.dense) return;

    gl.useProgram(this.#program);
    gl.bindVertexArray(this.#vertices);
    const canvas = map.getCanvas();
    const ratio = canvas.width / canvas.clientWidth;
    const middle = map.getCenter();
    const anchor = [wrap(Math.round(middle.lng * 1e7)), Math.round(middle.lat * 1e7)];
    const worldPx = 512 * 2 ** map.getZoom(); // 2 pi of Mercator
    const perRadian = worldPx / (2 * Math.PI);
    // The anchor is the view's middle, up to the rounding to 1e-7 degrees.
    const offX = ((anchor[0] - wrapDegrees(middle.lng) * 1e7) * 1e-7 * Math.PI) / 180;
    const offY = mercator((anchor[1] * 1e-7 * Math.PI) / 180) - mercator((middle.lat * Math.PI) / 180);
    const scale = [(2 * perRadian) / canvas.clientWidth, (2 * perRadian) / canvas.clientHeight];
    const nowMs = this.nowMs() - this.cars.baseMs;
    const zoom = map.getZoom();
    const size = Math.min(20, Math.max(11, 11 + (zoom - 10) * 1.4));
    gl.uniform2i(this.#place(gl, "u_anchor"), anchor[0], anchor[1]);
    gl.uniform1f(this.#place(gl, "u_anchor_lat"), (anchor[1] * 1e-7 * Math.PI) / 180);
    gl.uniform2f(this.#place(gl, "u_middle"), offX * scale[0], offY * scale[1]);
    gl.uniform2f(this.#place(gl, "u_scale"), scale[0], scale[1]);
    gl.uniform1f(this.#place(gl, "u_now"), nowMs - Math.floor(nowMs));
    gl.uniform1ui(this.#place(gl, "u_now_base"), Math.max(0, Math.floor(nowMs)));
    gl.uniform1f(this.#place(gl, "u_moves"), this.moves ? MOVES_MS_MAX : 0);
    gl.uniform1f(this.#place(gl, "u_size"), size * ratio);
    gl.uniform1f(this.#place(gl, "u_dot"), 4.5 * ratio);
    gl.uniform3fv(this.#place(gl, "u_colours"), STATES.flatMap((state) => rgb(COLOURS[this.theme][state])));
    gl.uniform3fv(this.#place(gl, "u_edge"), rgb(this.theme === "dark" ? "#0b1016" : "#ffffff"));
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.STENCIL_TEST);
    for (const pass of [0, 1, 2]) {
      gl.uniform1i(this.#place(gl, "u_pass"), pass);
      gl.drawArrays(gl.POINTS, 0, used);
    }
    gl.bindVertexArray(null);
  }

  /** Bring what changed to the GPU. */
  #upload(gl: WebGL2RenderingContext): void {
    const { cars } = this;
    const begun = performance.now();
    if (this.#generation !== cars.generation || this.#columns.length === 0) {
      this.#make(gl);
      this.#generation = cars.generation;
    } else if (cars.dirtyTo > 0) {
      for (const { buffer, data, perCar } of this.#columns) {
        gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
        const array = data();
        const from = cars.dirtyFrom * perCar;
        const length = (cars.dirtyTo - cars.dirtyFrom) * perCar;
        gl.bufferSubData(gl.ARRAY_BUFFER, from * array.BYTES_PER_ELEMENT, array, from, length);
      }
    } else {
      return;
    }
    cars.dirtyFrom = Infinity;
    cars.dirtyTo = 0;
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
    this.uploadMs.push(performance.now() - begun);
    if (this.uploadMs.length > 256) this.uploadMs.shift();
  }

  #make(gl: WebGL2RenderingContext): void {
    if (this.#program === null) return;
    for (const column of this.#columns) gl.deleteBuffer(column.buffer);
    if (this.#vertices !== null) gl.deleteVertexArray(this.#vertices);
    this.#vertices = gl.createVertexArray();
    gl.bindVertexArray(this.#vertices);
    const { cars } = this;
    const rows: [string, Column["data"], number, number][] = [
      ["a_lon", () => cars.lon, 1, gl.INT],
      ["a_lat", () => cars.lat, 1, gl.INT],
      ["a_fix", () => cars.fix, 1, gl.UNSIGNED_INT],
      ["a_motion", () => cars.motion, 2, gl.UNSIGNED_SHORT],
      ["a_kind", () => cars.kind, 2, gl.UNSIGNED_BYTE],
    ];
    this.#columns = rows.map(([name, data, perCar, type]) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, data(), gl.DYNAMIC_DRAW);
      const place = gl.getAttribLocation(this.#program as WebGLProgram, name);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribIPointer(place, perCar, type, 0, 0);
      return { buffer, data, perCar };
    });
    gl.bindVertexArray(null);
  }

  #place(gl: WebGL2RenderingContext, name: string): WebGLUniformLocation | null {
    if (!this.#places.has(name)) {
      this.#places.set(name, gl.getUniformLocation(this.#program as WebGLProgram, name));
    }
    return this.#places.get(name) ?? null;
  }
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, text] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(type);
    if (shader === null) throw new Error("no shader can be made: the graphics context is lost");
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) ?? "shader");
    gl.attachShader(program, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) ?? "link");
  return program;
}

export function mercator(lat: number): number {
  return Math.log(Math.tan(Math.PI / 4 + lat / 2));
}

function wrapDegrees(lon: number): number {
  return ((((lon + 180) % 360) + 360) % 360) - 180;
}

function wrap(lon: number): number {
  return Math.round(wrapDegrees(lon * 1e-7) * 1e7);
}

function rgb(hex: string): number[] {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
}
