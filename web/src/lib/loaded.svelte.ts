/** Something read from the server, again and again: its value, its problem, whether it is slow. */

import { untrack } from "svelte";
import { type Problem, asProblem } from "./http";

const SLOW_MS = 300; // a wait shorter than this is not shown

export class Loaded<T> {
  value = $state.raw<T | undefined>(undefined); // replaced as a whole
  problem = $state<Problem | null>(null);
  slow = $state(false);
  #abort: AbortController | null = null;
  #timer = 0;
  #read: ((signal: AbortSignal) => Promise<T>) | null = null;

  /** Read now, and again every `everyMs` (0: once). Returns what ends it. */
  follow(read: (signal: AbortSignal) => Promise<T>, everyMs = 0): () => void {
    this.#read = read;
    let ended = false;
    const turn = async (): Promise<void> => {
      await this.again();
      if (!ended && everyMs > 0) this.#timer = window.setTimeout(() => void turn(), everyMs);
    };
    untrack(() => void turn()); // what `read` looks at does not start it anew
    return () => {
      ended = true;
      clearTimeout(this.#timer);
      this.#abort?.abort();
    };
  }

  async again(): Promise<void> {
    if (this.#read === null) return;
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    const slow = setTimeout(() => (this.slow = true), SLOW_MS);
    try {
      const value = await this.#read(abort.signal);
      if (abort.signal.aborted) return;
      this.value = value;
      this.problem = null;
    } catch (error) {
      if (!abort.signal.aborted) this.problem = asProblem(error);
    } finally {
      clearTimeout(slow);
      if (this.#abort === abort) this.slow = false;
    }
  }
}
