/** Tags of a point, and how their texts are stored. */
import { Recent } from "../recent.ts";
import { textWithoutSecret } from "../never_stored.ts";

/** The candidates for the tags of an entity's states. */
export interface EntityTags {
  readonly entity_id: string;
  readonly name: unknown;
  readonly area: unknown;
  readonly floor: unknown;
  readonly device: unknown;
  readonly device_class: unknown;
  readonly unit: unknown;
  readonly source: unknown;
}

type Tags = ReadonlyMap<string, string>;

/** An entity's tags are kept where they are no longer than that together. */
const MAX_CHARACTERS = 1_000;

const lastTags = new Recent<string, { readonly candidates: EntityTags; readonly tags: Tags }>();

/**
 * As `tagsOf`. While an entity's tags stay what they are, all its points have the very same object,
 * so that others need not work out again what follows from it.
 */
export function entityTagsOf(candidates: EntityTags): Tags {
  const { entity_id: entityId } = candidates;
  const last = lastTags.get(entityId);
  if (last && areSame(last.candidates, candidates)) return last.tags;
  const tags = tagsOf({ ...candidates });
  if (!isOrdinary(candidates)) return tags;
  lastTags.set(entityId, { candidates, tags });
  return tags;
}

function isOrdinary(candidates: EntityTags): boolean {
  let characters = 0;
  for (const value of Object.values(candidates)) {
    if (typeof value === "object" && value !== null) return false;
    if (typeof value === "string") characters += value.length;
  }
  return characters <= MAX_CHARACTERS;
}

function areSame(a: EntityTags, b: EntityTags): boolean {
  return a.name === b.name && a.area === b.area && a.floor === b.floor && a.device === b.device &&
    a.device_class === b.device_class && a.unit === b.unit && a.source === b.source;
}

/** Those of the candidates that are a text with something in it, as they are stored. */
export function tagsOf(candidates: Readonly<Record<string, unknown>>): Tags {
  const tags = new Map<string, string>();
  for (const [name, value] of Object.entries(candidates)) {
    if (typeof value === "string" && value !== "") tags.set(name, tagText(name, value));
  }
  return tags;
}

/**
 * The text of that tag as it is stored, without a secret. Of a unit micro is always U+03BC: before
 * 2025.9 Home Assistant wrote U+00B5, and its recorder has both.
 */
export function tagText(name: string, text: string): string {
  return textWithoutSecret(name === "unit" ? text.replaceAll("\u00b5", "\u03bc") : text);
}
