/** All cars of the view as columns: no object per car. Fed by the wire, read by the map's layer,
 * by picking and by nobody else.
 *
 * Frames are those of docs/protocols/dashboard.md: little-endian, a header of 24 bytes, then one
 * column after the other. Copying columns and marking the range of slots that changed is all that
 * happens here; the shader does the rest. */

export const HEADER_BYTES = 24;
export const CARS = 1;
export const DENSITY = 2;
export const RESET = 1; // header flag: forget all cars you hold
export const NO_POSITION = 1;
export const GONE = 2;
export const MATCHES = 4;
export const HEADING_UNKNOWN = 65535;
const CAR_BYTES = 4 + 4 + 4 + 4 + 2 + 2 + 1 + 1;
const CELL_BYTES = 16 + 14;
/** Fix times are ms since a base so far before now; older ones saturate: they are hollow anyway. */
const BASE_BEFORE_MS = 2 ** 31;

/** How long a car moves on by its speed, and how its age shows (dashboard.md §2). */
export const MOVES_MS_MAX = 10_000;
const MOVED_DEGREES_MAX = 0.006; // in that time at 65 m/s

export interface Cell {
  lon: number; // degrees, the cell's middle
  lat: number;
  size: number; // degrees
  count: number;
}

export interface FrameInfo {
  kind: number;
  atUs: number;
  serial: number;
  count: number;
}

export class FrameError extends Error {}

export class Cars {
  capacity = 0;
  /** Greatest slot seen, plus one: what is drawn. */
  used = 0;
  lon = new Int32Array(0); // 1e-7 degrees
  lat = new Int32Array(0);
  fix = new Uint32Array(0); // ms since `baseMs`
  motion = new Uint16Array(0); // speed in cm/s, heading in 1/100 degrees: two per car
  kind = new Uint8Array(0); // state, flags: two per car
  baseMs = 0;
  cells: Cell[] = [];
  /** Whether the last frame held density cells instead of cars. */
  dense = false;
  /** Slots that changed since they were last uploaded; empty when `dirtyTo` is 0. */
  dirtyFrom = Infinity;
  dirtyTo = 0;
  /** Counts changes of the columns' size: buffers are made anew. */
  generation = 0;
  /** Counts frames. */
  version = 0;

  clear(): void {
    this.kind.fill(GONE, 0, 2 * this.used);
    if (this.used > 0) this.dirtyFrom = 0;
    this.dirtyTo = Math.max(this.dirtyTo, this.used);
    this.used = 0;
    this.cells = [];
    this.dense = false;
    this.version += 1;
  }

  /** Take one frame in. Raises `FrameError` for bytes that are none. */
  take(buffer: ArrayBuffer): FrameInfo {
    if (buffer.byteLength < HEADER_BYTES) throw new FrameError("a frame shorter than its header");
    const view = new DataView(buffer);
    const kind = view.getUint8(0);
    const version = view.getUint8(1);
    const flags = view.getUint16(2, true);
    const count = view.getUint32(4, true);
    const atUs = Number(view.getBigInt64(8, true));
    const serial = Number(view.getBigUint64(16, true));
    if (version !== 1) throw new FrameError(`frames of version ${version}: reload the page`);
    const each = kind === CARS ? CAR_BYTES : CELL_BYTES;
    if (buffer.byteLength < HEADER_BYTES + count * each) throw new FrameError("a frame cut short");
    if (flags & RESET) this.clear();
    if (kind === CARS) this.#takeCars(buffer, count, Math.floor(atUs / 1000));
    else if (kind === DENSITY) this.#takeCells(view, count);
    else throw new FrameError(`a frame of unknown kind ${kind}`);
    this.version += 1;
    return { kind, atUs, serial, count };
  }

  #takeCars(buffer: ArrayBuffer, count: number, atMs: number): void {
    this.dense = false;
    this.cells = [];
    if (count === 0) return;
    let at = HEADER_BYTES;
    const column = (bytes: number): number => {
      const begin = at;
      at += bytes * count;
      return begin;
    };
    const slot = new Uint32Array(buffer, column(4), count);
    const lon = new Int32Array(buffer, column(4), count);
    const lat = new Int32Array(buffer, column(4), count);
    const fixAge = new Uint32Array(buffer, column(4), count);
    const speed = new Uint16Array(buffer, column(2), count);
    const heading = new Uint16Array(buffer, column(2), count);
    const state = new Uint8Array(buffer, column(1), count);
    const flags = new Uint8Array(buffer, column(1), count);
    // The base moves with jumps in time, which come with a reset: nothing is held then.
    if (this.used === 0 || Math.abs(atMs - this.baseMs - BASE_BEFORE_MS) > BASE_BEFORE_MS / 2) {
      this.#rebase(atMs - BASE_BEFORE_MS);
    }
    const atRelative = atMs - this.baseMs;
    let low = Infinity;
    let high = -1;
    for (let i = 0; i < count; i++) {
      if (slot[i] < low) low = slot[i];
      if (slot[i] > high) high = slot[i];
    }
    if (high >= this.capacity) this.#grow(high + 1);
    const { lon: toLon, lat: toLat, fix, motion, kind } = this;
    for (let i = 0; i < count; i++) {
      const s = slot[i];
      toLon[s] = lon[i];
      toLat[s] = lat[i];
      fix[s] = Math.max(0, atRelative - fixAge[i]);
      motion[2 * s] = speed[i];
      motion[2 * s + 1] = heading[i];
      kind[2 * s] = state[i];
      kind[2 * s + 1] = flags[i];
    }
    this.used = Math.max(this.used, high + 1);
    this.dirtyFrom = Math.min(this.dirtyFrom, low);
    this.dirtyTo = Math.max(this.dirtyTo, high + 1);
  }

  #takeCells(view: DataView, count: number): void {
    this.dense = true;
    const column = (index: number): number => HEADER_BYTES + index * 4 * count;
    this.cells = Array.from({ length: count }, (_, i) => ({
      lon: view.getInt32(column(0) + 4 * i, true) * 1e-7,
      lat: view.getInt32(column(1) + 4 * i, true) * 1e-7,
      size: view.getUint32(column(2) + 4 * i, true) * 1e-7,
      count: view.getUint32(column(3) + 4 * i, true),
    }));
  }

  #rebase(baseMs: number): void {
    const shift = this.baseMs - baseMs;
    for (let s = 0; s < this.used; s++) this.fix[s] = Math.max(0, this.fix[s] + shift);
    this.baseMs = baseMs;
    this.dirtyFrom = 0;
    this.dirtyTo = this.used;
  }

  #grow(least: number): void {
    const capacity = Math.max(1024, 2 ** Math.ceil(Math.log2(least)));
    const more = <T extends Int32Array | Uint32Array | Uint16Array | Uint8Array>(old: T, made: T): T => {
      made.set(old);
      return made;
    };
    const before = this.capacity;
    this.lon = more(this.lon, new Int32Array(capacity));
    this.lat = more(this.lat, new Int32Array(capacity));
    this.fix = more(this.fix, new Uint32Array(capacity));
    this.motion = more(this.motion, new Uint16Array(2 * capacity));
    this.kind = more(this.kind, new Uint8Array(2 * capacity));
    this.kind.fill(GONE, 2 * before);
    this.capacity = capacity;
    this.generation += 1;
  }

  /** Whether there is something of this slot to draw. */
  drawn(slot: number): boolean {
    return slot < this.used && (this.kind[2 * slot + 1] & (NO_POSITION | GONE)) === 0;
  }

  state(slot: number): number {
    return this.kind[2 * slot];
  }

  /** Where the slot is shown at `nowMs`: moved on by speed and heading for at most 10 s. Degrees. */
  shownAt(slot: number, nowMs: number, moves: boolean): [number, number] {
    const ms = moves ? Math.min(Math.max(nowMs - this.baseMs - this.fix[slot], 0), MOVES_MS_MAX) : 0;
    const heading = this.motion[2 * slot + 1];
    let lat = this.lat[slot] * 1e-7;
    let lon = this.lon[slot] * 1e-7;
    if (heading !== HEADING_UNKNOWN && ms > 0) {
      const metres = (this.motion[2 * slot] / 100) * (ms / 1000);
      const angle = (heading / 100) * (Math.PI / 180);
      lat += (metres * Math.cos(angle)) / 111_320;
      lon += (metres * Math.sin(angle)) / (111_320 * Math.cos((lat * Math.PI) / 180));
    }
    return [lon, lat];
  }

  /** Age of the slot's fix in s. */
  fixAge(slot: number, nowMs: number): number {
    return (nowMs - this.baseMs - this.fix[slot]) / 1000;
  }

  /** The drawn car nearest to a place, within `radius` degrees of latitude; -1 without one.
   *
   * A look at every car: 100,000 take 0.2 ms, a grid that is true for moving cars takes longer to
   * keep. Cars outside the filter are the second choice. */
  nearest(lon: number, lat: number, radius: number, nowMs: number, moves: boolean): number {
    const { lon: lons, lat: lats, fix, motion, kind, used } = this;
    const squeeze = Math.cos((lat * Math.PI) / 180);
    const at = nowMs - this.baseMs;
    const x0 = lon * 1e7;
    const y0 = lat * 1e7;
    const reach = (radius + MOVED_DEGREES_MAX) * 1e7;
    let best = -1;
    let bestScore = radius * radius;
    for (let s = 0; s < used; s++) {
      let dy = lats[s] - y0;
      if (dy > reach || dy < -reach) continue;
      let dx = (lons[s] - x0) * squeeze;
      if (dx > reach || dx < -reach) continue;
      const flags = kind[2 * s + 1];
      if (flags & (NO_POSITION | GONE)) continue;
      const speed = motion[2 * s];
      const heading = motion[2 * s + 1];
      if (moves && speed > 0 && heading !== HEADING_UNKNOWN) {
        const moved = (speed * Math.min(Math.max(at - fix[s], 0), MOVES_MS_MAX)) / 1e5 / 111_320;
        const angle = heading * (Math.PI / 18_000);
        dy += moved * Math.cos(angle) * 1e7;
        dx += moved * Math.sin(angle) * 1e7;
      }
      let score = (dx * dx + dy * dy) * 1e-14;
      if (score > radius * radius) continue;
      if ((flags & MATCHES) === 0) score = score / 4 + bestScore / 2;
      if (score < bestScore) {
        bestScore = score;
        best = s;
      }
    }
    return best;
  }
}
