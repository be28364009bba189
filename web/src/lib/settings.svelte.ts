/** What a person set, kept by the browser: theme, rows, keys, folded panels. */

const KEY = "motorcade.settings";

interface Kept {
  theme: "system" | "dark" | "light";
  rows: "compact" | "usual" | "comfortable";
  keys: boolean; // single-letter keys (WCAG 2.1.4)
  rail: boolean;
  drawer: boolean;
}

const DEFAULT: Kept = { theme: "system", rows: "usual", keys: true, rail: true, drawer: true };

function load(): Kept {
  try {
    return { ...DEFAULT, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Kept>) };
  } catch {
    return { ...DEFAULT };
  }
}

class Settings {
  kept = $state<Kept>(load());
  #systemDark = $state(matchMedia("(prefers-color-scheme: dark)").matches);
  still = $state(matchMedia("(prefers-reduced-motion: reduce)").matches);
  phone = $state(matchMedia("(max-width: 899px)").matches);

  theme = $derived<"dark" | "light">(
    this.kept.theme === "system" ? (this.#systemDark ? "dark" : "light") : this.kept.theme,
  );

  constructor() {
    const watch = (query: string, set: (matches: boolean) => void): void =>
      matchMedia(query).addEventListener("change", (event) => set(event.matches));
    watch("(prefers-color-scheme: dark)", (matches) => (this.#systemDark = matches));
    watch("(prefers-reduced-motion: reduce)", (matches) => (this.still = matches));
    watch("(max-width: 899px)", (matches) => (this.phone = matches));
  }

  set(changes: Partial<Kept>): void {
    this.kept = { ...$state.snapshot(this.kept), ...changes };
    localStorage.setItem(KEY, JSON.stringify(this.kept));
  }

  flipTheme(): void {
    this.set({ theme: this.theme === "dark" ? "light" : "dark" });
  }
}

export const settings = new Settings();
