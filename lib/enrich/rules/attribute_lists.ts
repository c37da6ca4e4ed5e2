/** Attributes that CONFIG_FILE names one by one or by glob, for all entities and for some. */
import { globPattern, isGlob } from "../../glob.ts";

/** On which of the lists an attribute is, if on any. */
export type Listed = (name: string) => "include" | "exclude" | undefined;

/** What is to be stored and left out, whatever ATTRIBUTES says; names, or globs. */
export interface AttributeLists {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/**
 * Which list an attribute is on. As in Home Assistant's filters an exact name goes before a glob,
 * and include before exclude.
 */
export function listedIn({ include, exclude }: AttributeLists): Listed {
  if (include.length + exclude.length === 0) return () => undefined;
  const included = new Set(include);
  const excluded = new Set(exclude);
  const includes = include.filter(isGlob).map(globPattern);
  const excludes = exclude.filter(isGlob).map(globPattern);
  return (name) => {
    if (included.has(name)) return "include";
    if (excluded.has(name)) return "exclude";
    if (includes.some((pattern) => pattern.test(name))) return "include";
    if (excludes.some((pattern) => pattern.test(name))) return "exclude";
  };
}

/** What the first list says, else what the second one does. */
export function listedFirst(first: Listed, second: Listed): Listed {
  return (name) => first(name) ?? second(name);
}
