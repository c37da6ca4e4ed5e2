/** JSON with other values in some places. */

/** Where a value stands in a JSON object. */
export function paths(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => paths(inner, [...path, key]))];
}

/** With another value in that place; undefined leaves it out, as JSON does. */
export function changed(
  value: unknown,
  [key, ...rest]: readonly string[],
  other: unknown,
): unknown {
  if (key === undefined) return other;
  const entries = Object.entries(value ?? {}).map(([name, inner]) =>
    name === key ? [name, changed(inner, rest, other)] : [name, inner]
  );
  return Object.fromEntries(entries);
}
