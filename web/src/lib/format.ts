/** Numbers, ages and names as people read them. Units stand apart, after a thin space. */

export const THIN = "\u2009";

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** An age in its largest unit: `0.8 s`, `12 s`, `4 min`, `4 h`, `3 d`. */
export function age(seconds: number): string {
  if (!Number.isFinite(seconds)) return "never";
  if (seconds < 0) return "now";
  if (seconds < 9.95) return `${seconds.toFixed(1)}${THIN}s`;
  if (seconds < 99.5) return `${Math.round(seconds)}${THIN}s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)}${THIN}min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)}${THIN}h`;
  return `${Math.round(seconds / 86_400)}${THIN}d`;
}

/** Local time of day, to the second. */
export function clock(us: number): string {
  return new Date(us / 1000).toLocaleTimeString("en-GB");
}

export function clockShort(us: number): string {
  return new Date(us / 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

export function clockMs(us: number): string {
  const date = new Date(us / 1000);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

export function day(us: number): string {
  return new Date(us / 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/** When, with its date unless it was today. */
export function when(us: number, nowUs: number): string {
  const date = new Date(us / 1000);
  if (date.toDateString() === new Date(nowUs / 1000).toDateString()) return clock(us);
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${clockShort(us)}`;
}

/** A span between two steps: `+ 412 ms`, `+ 1.9 s`. */
export function span(us: number): string {
  if (us < 1_000_000) return `+${THIN}${Math.round(us / 1000)}${THIN}ms`;
  return `+${THIN}${age(us / 1e6)}`;
}

interface Shown {
  value: string;
  unit: string;
}

/** Stored SI units as a driver reads them. */
const UNITS: Record<string, (value: number) => Shown> = {
  "m/s": (v) => ({ value: (v * 3.6).toFixed(0), unit: "km/h" }),
  m: (v) => (Math.abs(v) >= 1000 ? { value: (v / 1000).toLocaleString("en-US", { maximumFractionDigits: v < 1e5 ? 1 : 0 }), unit: "km" } : { value: v.toFixed(0), unit: "m" }),
  W: (v) => ({ value: (v / 1000).toFixed(1), unit: "kW" }),
  J: (v) => ({ value: (v / 3.6e6).toFixed(1), unit: "kWh" }),
  Wh: (v) => ({ value: (v / 1000).toFixed(1), unit: "kWh" }),
  Pa: (v) => ({ value: (v / 1e5).toFixed(2), unit: "bar" }),
  K: (v) => ({ value: (v - 273.15).toFixed(1), unit: "°C" }),
  C: (v) => ({ value: v.toFixed(1), unit: "°C" }),
  degC: (v) => ({ value: v.toFixed(1), unit: "°C" }),
  "rad/s": (v) => ({ value: ((v * 60) / (2 * Math.PI)).toFixed(0), unit: "rpm" }),
  "m/s2": (v) => ({ value: v.toFixed(2), unit: "m/s²" }),
  "N.m": (v) => ({ value: v.toFixed(0), unit: "N\u22c5m" }),
  B: (v) => ({ value: (v / 1e6).toFixed(1), unit: "MB" }),
  celsius: (v) => ({ value: v.toFixed(1), unit: "°C" }),
  "°C": (v) => ({ value: v.toFixed(1), unit: "°C" }),
  percent: (v) => ({ value: v.toFixed(v % 1 ? 1 : 0), unit: "%" }),
  "%": (v) => ({ value: v.toFixed(v % 1 ? 1 : 0), unit: "%" }),
  deg: (v) => ({ value: v.toFixed(0), unit: "°" }),
  degrees: (v) => ({ value: v.toFixed(0), unit: "°" }),
  s: (v) => {
    const [value, unit] = age(v).split(THIN);
    return { value, unit: unit ?? "s" };
  },
};

/** `name`: the signal's, where it says more than its unit: a place is told to the metre, a heading is not. */
export function shown(value: unknown, unit: string, name = ""): Shown {
  if (value === null || value === undefined) return { value: "–", unit: "" };
  if (typeof value === "boolean") return { value: value ? "yes" : "no", unit: "" };
  if (typeof value !== "number") {
    return { value: typeof value === "object" ? JSON.stringify(value) : String(value), unit };
  }
  if (/latitude$|longitude$/.test(name)) return { value: value.toFixed(5), unit: "°" };
  const known = UNITS[unit];
  if (known) return known(value);
  const digits = Number.isInteger(value) ? 0 : Math.abs(value) < 1 ? 3 : Math.abs(value) < 1000 ? 2 : 0;
  return { value: value.toLocaleString("en-US", { maximumFractionDigits: digits }), unit };
}

/** Unlike `shown`, numbers alone, for the axis of a chart: the factor and offset of its unit. */
export function scaled(value: number, unit: string): number {
  if (unit === "m/s") return value * 3.6;
  if (unit === "W" || unit === "Wh") return value / 1000;
  if (unit === "J") return value / 3.6e6;
  if (unit === "Pa") return value / 1e5;
  if (unit === "K") return value - 273.15;
  return value;
}

export function unitOf(unit: string): string {
  const names: Record<string, string> = { "m/s": "km/h", W: "kW", Wh: "kWh", J: "kWh", Pa: "bar", K: "°C", C: "°C", degC: "°C", celsius: "°C", percent: "%", deg: "°", degrees: "°" };
  return names[unit] ?? unit;
}

const NAMES: Record<string, string> = {
  soc: "Charge level",
  battery_level: "Charge level, shown",
  vehicle_speed: "Speed",
  odometer: "Odometer",
  pack_voltage: "Battery voltage",
  pack_current: "Battery current",
  est_battery_range: "Range at this driving",
  rated_range: "Range, rated",
  ideal_battery_range: "Range, ideal",
  drive_power: "Power",
  inside_temp: "Cabin",
  outside_temp: "Outside",
  module_temp_max: "Battery, hottest cell",
  module_temp_min: "Battery, coldest cell",
  charge_limit_soc: "Charge limit",
  charge_state: "Charging",
  detailed_charge_state: "Charging, in detail",
  gps_heading: "Heading",
  tpms_pressure_fl: "Tyre pressure, front left",
  tpms_pressure_fr: "Tyre pressure, front right",
  tpms_pressure_rl: "Tyre pressure, rear left",
  tpms_pressure_rr: "Tyre pressure, rear right",
  time_to_full_charge: "Until charged",
  version: "Software",
  bms_state: "Battery management",
  hvil: "High-voltage interlock",
  locked: "Locked",
  gear: "Gear",
};

const SMALL: Record<string, string> = { dc: "DC", ac: "AC", gps: "GPS", hvac: "HVAC", tpms: "TPMS", soc: "charge level", temp: "temperature" };

/** A signal's or a command's name in words. */
export function words(name: string): string {
  const known = NAMES[name];
  if (known) return known;
  const text = name.split("_").map((part) => SMALL[part] ?? part).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
