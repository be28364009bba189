/** One car as the API tells it. */

export interface Signal {
  name: string;
  value: unknown;
  unit: string;
  time_us: number;
  min: number | null;
  max: number | null;
  class: string;
}

export interface Vehicle {
  id: string;
  name: string;
  model: string | null;
  slot: number;
  state: string;
  online: boolean | string;
  last_received_us: number;
  signals: Signal[];
}

/** When a vehicle was where it is shown, and how exactly. */
export interface Fix {
  timeUs: number; // of the older of its two coordinates
  accuracyM: number | null; // null: the vehicle never said
  accuracyUs: number;
}

/** Null: no position is known, or none may be told. */
export function fixOf(vehicle: Vehicle): Fix | null {
  const said = (name: string): Signal | undefined => vehicle.signals.find((signal) => signal.name === name && typeof signal.value === "number");
  const [lat, lon, accuracy] = [said("latitude"), said("longitude"), said("gps_accuracy")];
  if (!lat || !lon) return null;
  return {
    timeUs: Math.min(lat.time_us, lon.time_us),
    accuracyM: accuracy ? (accuracy.value as number) : null,
    accuracyUs: accuracy?.time_us ?? 0,
  };
}

export interface Step {
  state: string;
  time_us: number;
  reason: string;
}

export interface Command {
  id: string;
  name: string;
  parameters: Record<string, unknown>;
  state: string;
  final: boolean;
  reason: string;
  by?: string;
  timeline: Step[];
}

/** Commands offered in the drawer; all others are the API's. `ask`: a number is wanted. */
export interface Offer {
  name: string;
  label: string;
  body?: object;
  ask?: { key: string; label: string; min: number; max: number; value: number; unit: string };
  sure?: string; // asked before it is sent
}

export const OFFERS: Offer[] = [
  { name: "flash_lights", label: "Flash lights" },
  { name: "honk_horn", label: "Honk" },
  { name: "door_lock", label: "Lock" },
  { name: "door_unlock", label: "Unlock", sure: "Unlock the doors?" },
  { name: "auto_conditioning_start", label: "Climate on" },
  { name: "auto_conditioning_stop", label: "Climate off" },
  { name: "charge_start", label: "Start charging" },
  { name: "charge_stop", label: "Stop charging" },
  {
    name: "set_charge_limit",
    label: "Charge limit",
    ask: { key: "percent", label: "Charge limit", min: 50, max: 100, value: 80, unit: "%" },
  },
  { name: "wake_up", label: "Wake up" },
];
