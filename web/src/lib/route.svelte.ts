/** Where the page is: every view is a URL that reproduces it, filters and time included. */

export interface Query {
  state: string[]; // names of states; none: all
  q: string;
  area: string; // lon,lat;lon,lat;... a lasso, closed by itself
  at: number | null; // µs UTC; null: live
  from: number | null; // µs UTC
  to: number | null;
  mode: "arrived" | "corrected"; // what `at` means for records that came late
  map: string; // zoom/lat/lon
  tab: string;
}

export type Section = "live" | "work" | "system" | "people" | "unknown";

function instant(text: string | null): number | null {
  if (text === null) return null;
  if (/^\d+$/.test(text)) return Number(text);
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms * 1000;
}

export function parseQuery(search: string): Query {
  const read = new URLSearchParams(search);
  return {
    state: read.getAll("state"),
    q: read.get("q") ?? "",
    area: read.get("area") ?? "",
    at: instant(read.get("at")),
    from: instant(read.get("from")),
    to: instant(read.get("to")),
    mode: read.get("mode") === "corrected" ? "corrected" : "arrived",
    map: read.get("map") ?? "",
    tab: read.get("tab") ?? "",
  };
}

/** An instant as people read it in a URL; to the millisecond, because replay stops between seconds. */
function instantText(us: number): string {
  return new Date(Math.round(us / 1000)).toISOString().replace(".000Z", "Z");
}

export function queryText(query: Query): string {
  const parts: string[] = [];
  const put = (name: string, value: string): void => {
    // `/`, `,`, `:` and `;` may stand in a query, and people read these
    parts.push(`${name}=${encodeURIComponent(value).replace(/%(2F|2C|3A|3B)/g, decodeURIComponent)}`);
  };
  for (const state of query.state) put("state", state);
  if (query.q) put("q", query.q);
  if (query.area) put("area", query.area);
  if (query.from !== null) put("from", instantText(query.from));
  if (query.to !== null) put("to", instantText(query.to));
  if (query.at !== null) put("at", instantText(query.at));
  if (query.at !== null && query.mode === "corrected") put("mode", "corrected");
  if (query.tab) put("tab", query.tab);
  if (query.map) put("map", query.map);
  return parts.length ? `?${parts.join("&")}` : "";
}

/** What the addresses of a shared link begin with, `/s/{token}`; "" on the page of people. */
const BASE = /^\/s\/[^/]+/.exec(location.pathname)?.[0] ?? "";

function pathHere(): string {
  return location.pathname.slice(BASE.length) || "/";
}

function address(path: string): string {
  return BASE && path === "/" ? BASE : BASE + path;
}

class Route {
  path = $state(pathHere());
  query = $state<Query>(parseQuery(location.search));
  /** Counts up when somebody else than the map moved it: back, forward, a link. */
  jumps = $state(0);

  section = $derived.by((): Section => {
    const first = this.path.split("/")[1];
    if (first === "" || first === "vehicles") return "live";
    if (first === "work" || first === "system" || first === "people") return first;
    return "unknown";
  });
  /** The id in `/vehicles/{id}`, or `/work/{id}`; "" without one. */
  id = $derived(decodeURIComponent(this.path.split("/")[2] ?? ""));

  constructor() {
    addEventListener("popstate", () => {
      this.path = pathHere();
      Object.assign(this.query, parseQuery(location.search));
      this.jumps += 1;
    });
  }

  /** Go to a path; what the query says of filters, time and map stays, but for `changes`. */
  go(path: string, changes: Partial<Query> = {}): void {
    Object.assign(this.query, { tab: "" }, changes);
    this.path = path;
    history.pushState(null, "", address(path) + queryText(this.query));
  }

  /** Change the query where one is. `replace`: no new entry for the back button. */
  set(changes: Partial<Query>, replace = false): void {
    Object.assign(this.query, changes); // member by member: a map that moves wakes no filter
    const url = address(this.path) + queryText(this.query);
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
  }

  href(path: string): string {
    return address(path) + queryText({ ...this.query, tab: "" });
  }

  /** Show the view of a shared link, where its address names none itself. */
  take(view: string): void {
    if (location.search || this.path !== "/") return;
    const { pathname, search } = new URL(view, location.origin);
    this.path = pathname;
    Object.assign(this.query, parseQuery(search));
    history.replaceState(null, "", address(pathname) + queryText(this.query));
    this.jumps += 1;
  }
}

export const route = new Route();
