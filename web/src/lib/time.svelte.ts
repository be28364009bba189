/** Now, ten times a second at most: ages on screen follow it. */

import { fleet } from "./fleet.svelte";

class Ticker {
  /** µs; in replay, the instant that is shown. */
  us = $state(Date.now() * 1000);
  /** µs of the server's clock. */
  liveUs = $state(Date.now() * 1000);
  ms = $state(performance.now());

  constructor() {
    setInterval(() => this.tick(), 500);
  }

  tick(): void {
    this.us = fleet.nowMs() * 1000;
    this.liveUs = fleet.serverUs();
    this.ms = performance.now();
  }
}

export const now = new Ticker();
