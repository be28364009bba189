/** Names of cars, asked for when somebody points at one. */

import { read } from "./http";

export interface Named {
  slot: number;
  id: string;
  name: string;
  state: string;
  last_received_us: number;
}

const KEPT_MAX = 20_000;

class Names {
  #bySlot = new Map<number, Named>();
  #asked = new Set<number>();
  #waiting: number[] = [];
  #timer = 0;
  /** Counts what came. */
  version = $state(0);

  of(slot: number): Named | undefined {
    const known = this.#bySlot.get(slot);
    if (known === undefined && !this.#asked.has(slot)) {
      this.#asked.add(slot);
      this.#waiting.push(slot);
      this.#timer ||= window.setTimeout(() => void this.#ask(), 30);
    }
    return known;
  }

  /** The name, asked for if need be. */
  async find(slot: number): Promise<Named | undefined> {
    const known = this.#bySlot.get(slot);
    if (known !== undefined) return known;
    await this.#read([slot]);
    return this.#bySlot.get(slot);
  }

  put(named: Named): void {
    this.#bySlot.set(named.slot, named);
  }

  clear(): void {
    this.#bySlot.clear();
    this.#asked.clear();
  }

  async #ask(): Promise<void> {
    this.#timer = 0;
    await this.#read(this.#waiting.splice(0)).catch(() => undefined);
  }

  async #read(slots: number[]): Promise<void> {
    if (this.#bySlot.size > KEPT_MAX) this.clear();
    try {
      for (const named of await read<Named[]>(`/api/2/fleet/cars?slots=${slots.join(",")}`)) this.put(named);
    } finally {
      for (const slot of slots) this.#asked.delete(slot);
      this.version += 1;
    }
  }
}

export const names = new Names();
