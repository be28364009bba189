/** The link to the server: one WebSocket, whose binary frames fill `cars` and whose texts fill the
 * rest. It comes back by itself; what was seen stays, with its age. */

import { Cars, type FrameInfo } from "./cars";
import { mark } from "./marks";
import { session } from "./session.svelte";
import { STATES, isState, type State } from "./states";

const PATH = "/api/2/fleet/stream";
const AGAIN_MS_MIN = 500;
const AGAIN_MS_MAX = 10_000;
const SILENT_MS_MAX = 15_000; // counts come each second or when changed; the socket pings itself

const LOOK_WAIT_MS = 1_000; // for the map to say what it shows

export interface View {
  bounds: [number, number, number, number];
  zoom: number;
}
const WORLD: View = { bounds: [-180, -85, 180, 85], zoom: 0 };

interface Welcome {
  type: "welcome";
  epoch: string;
  now_us: number;
  states: string[];
  rights: { location: boolean; commands: boolean; people: boolean };
  role: string;
  parts: string[];
  bounds?: View["bounds"] | null;
}
interface Counts {
  type: "counts";
  at_us: number;
  total: number;
  states: number[];
  shown: number;
}
interface Told {
  type: "problem";
  code: string;
  text: string;
}

class Fleet {
  readonly cars = new Cars();
  link = $state<"connecting" | "open" | "lost">("connecting");
  /** When the last word came, ms by `performance.now()`. */
  heardMs = $state(0);
  problem = $state<{ code: string; text: string } | null>(null);
  total = $state<number | null>(null); // null: not told yet
  shown = $state(0);
  counts = $state<number[]>(STATES.map(() => 0));
  rights = $state({ location: true, commands: false, people: false });
  role = $state("");
  /** What the server has for this person; `has.svelte.ts`. */
  parts = $state<string[]>([]);
  /** The instant of the last frame or counts, µs of the server's clock. */
  atUs = $state(0);
  dense = $state(false);
  /** What the map shows: [west, south, east, north] in degrees. */
  bounds = $state<View["bounds"]>([-180, -85, 180, 85]);
  /** Where nearly all vehicles are, as the welcome told; null: nowhere, or not known. */
  extent = $state.raw<View["bounds"] | null>(null);
  /** Called after each frame. */
  onframe: ((info: FrameInfo) => void) | null = null;
  /** Time that decoding took, ms, newest last; read by tests. */
  readonly decodeMs: number[] = [];

  #socket: WebSocket | null = null;
  #againMs = AGAIN_MS_MIN;
  #timer = 0;
  #epoch = "";
  #view: View | null = null; // nobody has looked yet
  #told = ""; // the last view that was sent on this link
  #filter: { state: string[]; q: string } = { state: [], q: "" };
  #at: { at_us: number | null; mode: string; speed: number } = { at_us: null, mode: "arrived", speed: 0 };
  #order: number[] = STATES.map((_, i) => i);
  #clockUs = 0; // the server's time at...
  #clockMs = 0; // ...this `performance.now()`

  start(): void {
    if (this.#socket !== null) return;
    addEventListener("online", () => this.#soon(0));
    setInterval(() => {
      if (this.link === "open" && performance.now() - this.heardMs > SILENT_MS_MAX) this.#socket?.close();
    }, 2_000);
    void this.#open();
  }

  /** The server's time now, ms; in replay, the instant that is shown. */
  nowMs(): number {
    if (this.#at.at_us !== null) {
      const speed = this.#at.speed;
      const since = speed > 0 ? Math.min((performance.now() - this.#frameMs) * speed, 1_500 * speed) : 0;
      return (this.atUs || this.#at.at_us) / 1000 + since;
    }
    return (this.#clockUs || Date.now() * 1000) / 1000 + (performance.now() - this.#clockMs);
  }

  /** The server's clock, whatever is shown; µs. */
  serverUs(): number {
    if (this.#clockUs === 0) return Date.now() * 1000;
    return this.#clockUs + (performance.now() - this.#clockMs) * 1000;
  }
  #frameMs = 0;

  /** What the page shows of the world. */
  look(view: View): void {
    this.#view = view;
    this.bounds = view.bounds;
    this.#sendView();
  }

  filter(state: string[], q: string): void {
    const next = { state: [...state], q };
    if (JSON.stringify(next) === JSON.stringify(this.#filter)) return;
    this.#filter = next;
    if (this.#view !== null || this.#told) this.#sendView();
  }

  /** Show an instant, still (`speed` 0) or playing; null: live. */
  travel(atUs: number | null, mode: string, speed: number): void {
    if (atUs === null && this.#at.at_us === null) return;
    this.#at = { at_us: atUs, mode, speed };
    if (atUs !== null) this.atUs = atUs;
    this.#frameMs = performance.now();
    this.#send({ type: "at", at_us: atUs === null ? null : Math.round(atUs), mode, speed });
  }

  async #open(): Promise<void> {
    this.link = this.link === "open" ? "lost" : this.link;
    let token: string;
    try {
      token = await session.token();
    } catch {
      if (session.status === "signed_out") return;
      this.#lost();
      return;
    }
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${PATH}`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token }));
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (this.#socket !== socket) return;
      this.heardMs = performance.now();
      if (typeof event.data === "string") this.#text(JSON.parse(event.data) as Welcome | Counts | Told);
      else this.#frame(event.data);
    };
    socket.onclose = (event) => {
      if (this.#socket !== socket) return;
      if (event.code === 4401 || event.code === 1008) void session.refused();
      this.#lost();
    };
  }

  #lost(): void {
    this.#socket = null;
    if (session.status === "signed_out") return;
    this.link = "lost";
    this.#soon(this.#againMs);
    this.#againMs = Math.min(this.#againMs * 2, AGAIN_MS_MAX);
  }

  #soon(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#socket !== null) return;
    // Not all pages of a restarted server at the same instant.
    this.#timer = window.setTimeout(() => void this.#open(), ms * (0.75 + Math.random() / 2));
  }

  #text(told: Welcome | Counts | Told): void {
    if (told.type === "welcome") {
      if (told.epoch !== this.#epoch) this.cars.clear(); // slots mean other cars now
      this.#epoch = told.epoch;
      this.#clockUs = told.now_us;
      this.#clockMs = performance.now();
      this.#order = STATES.map((state) => told.states.indexOf(state));
      this.rights = told.rights;
      this.extent = told.bounds ?? null;
      this.role = told.role;
      this.parts = told.parts;
      this.link = "open";
      mark("linked");
      this.problem = null;
      this.#againMs = AGAIN_MS_MIN;
      this.#told = "";
      if (this.#view !== null) this.#sendView();
      else setTimeout(() => this.#sendView(), LOOK_WAIT_MS); // there may be no map
      if (this.#at.at_us !== null) this.#send({ type: "at", ...this.#at });
    } else if (told.type === "counts") {
      this.total = told.total;
      this.shown = told.shown;
      this.counts = this.#order.map((index) => told.states[index] ?? 0);
      this.#instant(told.at_us);
    } else if (told.type === "problem") {
      this.problem = { code: told.code, text: told.text };
    }
  }

  #frame(buffer: ArrayBuffer): void {
    const begun = performance.now();
    const info = this.cars.take(buffer);
    this.decodeMs.push(performance.now() - begun);
    if (this.decodeMs.length > 256) this.decodeMs.shift();
    this.dense = this.cars.dense;
    mark("frame");
    this.#instant(info.atUs);
    this.onframe?.(info);
  }

  #instant(us: number): void {
    this.atUs = us;
    this.#frameMs = performance.now();
    if (this.#at.at_us === null) {
      this.#clockUs = us;
      this.#clockMs = performance.now();
    }
  }

  #sendView(): void {
    const { bounds, zoom } = this.#view ?? WORLD;
    const view = { type: "view", bounds, zoom, rate_hz: 2, filter: this.#filter };
    const text = JSON.stringify(view);
    if (text === this.#told || !this.#send(view)) return;
    this.#told = text;
  }

  /** Whether there was a link to send it on. */
  #send(message: object): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.link !== "open") return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }
}

export const fleet = new Fleet();

export function stateOf(index: number): State {
  return STATES[index] ?? "silent";
}

export function asState(name: string): State {
  return isState(name) ? name : "silent";
}
