/** Keys (dashboard.md §3). A part says what it answers to while it is on screen; `?` lists them. */

import { settings } from "./settings.svelte";

export interface Key {
  key: string; // as `KeyboardEvent.key`; sequences as "g l"
  does: string;
  run: (event: KeyboardEvent) => void;
  hidden?: boolean;
}

const SEQUENCE_MS_MAX = 1_500;

class Keys {
  #groups: { name: string; keys: () => Key[] }[] = [];
  #pending = "";
  #pendingMs = 0;

  listen(): void {
    addEventListener("keydown", (event) => this.#down(event));
  }

  /** Add a group while a part is on screen; returns what takes it away. Later groups go first. */
  add(name: string, keys: () => Key[]): () => void {
    const group = { name, keys };
    this.#groups = [...this.#groups, group];
    return () => (this.#groups = this.#groups.filter((other) => other.keys !== keys));
  }

  /** All keys that answer now, those of one name together. */
  all(): { name: string; keys: Key[] }[] {
    const found = new Map<string, Key[]>();
    for (const { name, keys } of this.#groups) {
      found.set(name, [...(found.get(name) ?? []), ...keys().filter((key) => !key.hidden)]);
    }
    return [...found].map(([name, keys]) => ({ name, keys }));
  }

  #down(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
    if (typing && event.key !== "Escape") return;
    const single = event.key.length === 1 && event.key !== " ";
    if (single && !settings.kept.keys) return;
    // Space and Enter on a button are the button's own
    const control = /^(BUTTON|A|SUMMARY)$/.test(target.tagName);
    if (control && (event.key === " " || event.key === "Enter")) return;
    const since = performance.now() - this.#pendingMs;
    const sequence = this.#pending && since < SEQUENCE_MS_MAX ? `${this.#pending} ${event.key}` : "";
    this.#pending = "";
    for (const name of sequence ? [sequence, event.key] : [event.key]) {
      for (const group of [...this.#groups].reverse()) {
        const key = group.keys().find((other) => other.key === name);
        if (key) {
          event.preventDefault();
          key.run(event);
          return;
        }
      }
    }
    if (this.#groups.some((group) => group.keys().some((key) => key.key.startsWith(`${event.key} `)))) {
      this.#pending = event.key;
      this.#pendingMs = performance.now();
    }
  }
}

export const keys = new Keys();
