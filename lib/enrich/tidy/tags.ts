/** Tags of a point, and how their texts are stored. */
import { textWithoutSecret } from "../never_stored.ts";

/** Those of the candidates that are a text with something in it, as they are stored. */
export function tagsOf(
  candidates: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(candidates).flatMap(([name, value]): [string, string][] =>
      typeof value === "string" && value !== "" ? [[name, tagText(name, value)]] : []
    ),
  );
}

/**
 * The text of that tag as it is stored, without a secret. Of a unit micro is always U+03BC: before
 * 2025.9 Home Assistant wrote U+00B5, and its recorder has both.
 */
export function tagText(name: string, text: string): string {
  return textWithoutSecret(name === "unit" ? text.replaceAll("\u00b5", "\u03bc") : text);
}
