/** Which parts this server has for this person, as its welcome says: what it has not is absent from
 * the page, not an empty shell. */

import { fleet } from "./fleet.svelte";

const PARTS = ["work", "system", "timeline", "shares", "people", "within", "export", "explain", "consent"] as const;
export type Part = (typeof PARTS)[number];

class Has {
  parts = $derived(Object.fromEntries(PARTS.map((part) => [part, fleet.parts.includes(part)])) as Record<Part, boolean>);
}

export const has = new Has();
