/** Tags of a point. */

/** Those of the candidates that are a text with something in it. */
export function tagsOf(
  candidates: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(candidates).flatMap(([name, value]): [string, string][] =>
      typeof value === "string" && value !== "" ? [[name, value]] : []
    ),
  );
}
