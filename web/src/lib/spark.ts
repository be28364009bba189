/** A small line of a signal's last hour, as the `d` of an SVG path. Gaps are gaps. */

/** `values` from left to right; null: nothing was said. "" with fewer than two values. */
export function sparkPath(values: (number | null)[], width: number, height: number): string {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return "";
  const low = Math.min(...known);
  const span = Math.max(...known) - low;
  const step = width / Math.max(1, values.length - 1);
  let path = "";
  let begun = false;
  values.forEach((value, index) => {
    if (value === null) {
      begun = false;
      return;
    }
    const y = span > 0 ? height - ((value - low) / span) * height : height / 2;
    path += `${begun ? "L" : "M"}${(index * step).toFixed(1)} ${y.toFixed(1)}`;
    if (!begun && values[index + 1] == null) path += "h0.1"; // a value alone is a dot
    begun = true;
  });
  return path;
}
