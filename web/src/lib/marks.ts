/** Marks in the browser's own timeline, `motorcade.{name}`, the first of each: benchmarks read them. */

const made = new Set<string>();

export function mark(name: "script" | "signed-in" | "map-code" | "map" | "linked" | "frame" | "cars" | "streets" | "ground"): void {
  if (made.has(name)) return;
  made.add(name);
  performance.mark(`motorcade.${name}`);
}
