/** Which parts this server has: what it does not answer is absent from the page, not an empty shell. */

import { Problem, read } from "./http";

const PARTS = {
  work: "/api/2/work?open=true",
  system: "/api/2/system",
  timeline: "/api/2/fleet/timeline?from_us=0&to_us=1&buckets=1",
  shares: "/api/2/shares",
  people: "/api/2/people",
  within: "/api/2/fleet/within",
} as const;
export type Part = keyof typeof PARTS;

class Has {
  parts = $state<Record<Part, boolean>>({ work: false, system: false, timeline: false, shares: false, people: false, within: false });

  /** Ask for each once; `skip`: what the person has no right to anyway. */
  async ask(skip: Part[]): Promise<void> {
    await Promise.all(
      (Object.keys(PARTS) as Part[]).map(async (part) => {
        if (!skip.includes(part)) this.parts[part] = await there(PARTS[part]);
      }),
    );
  }
}

/** Whether the server has this route. */
export async function there(path: string): Promise<boolean> {
  try {
    await read(path);
    return true;
  } catch (error) {
    return !(error instanceof Problem && [403, 404, 405, 501].includes(error.status));
  }
}

export const has = new Has();
