/** The states of a car: the order of the wire, their words, and their colours in both themes. */

export const STATES = ["moving", "idle", "parked", "charging", "updating", "silent", "alarm"] as const;
export type State = (typeof STATES)[number];

export const WORDS: Record<State, string> = {
  moving: "Moving",
  idle: "Idle",
  parked: "Parked",
  charging: "Charging",
  updating: "Updating",
  silent: "Silent",
  alarm: "In alarm",
};

/** In a sentence: "No vehicle is charging". */
export const DOING: Record<State, string> = { ...lower(WORDS), alarm: "in alarm" };

/** Chosen by search: two states stay apart for usual, protan, deutan and tritan sight. A change of
 * these re-runs that check (tests/dashboard/test_colours.py). */
export const COLOURS: Record<"dark" | "light", Record<State, string>> = {
  dark: {
    moving: "#3d9bff",
    idle: "#e3c04f",
    parked: "#8b9aab",
    charging: "#57dcbc",
    updating: "#f0c6ff",
    silent: "#5d6b7a",
    alarm: "#f04a28",
  },
  light: {
    moving: "#0b6bcb",
    idle: "#9a7a00",
    parked: "#566578",
    charging: "#006b55",
    updating: "#5a1e8c",
    silent: "#808d9b",
    alarm: "#a01f08",
  },
};

export const isState = (name: string): name is State => (STATES as readonly string[]).includes(name);

function lower(words: Record<State, string>): Record<State, string> {
  return Object.fromEntries(
    Object.entries(words).map(([state, word]) => [state, word.toLowerCase()]),
  ) as Record<State, string>;
}
