/** A point as InfluxDB is promised to give it back: what line protocol cannot say is said otherwise. */
import type { StorePoint } from "../../../lib/enrich/store.ts";

/** The name of a measurement or a field; each `open` backslash gets a `_` behind it. */
function readBackName(name: string, open = /\\(?=[,= "]|$)/g): string {
  return name.replace(open, "\\_").replaceAll("\0", "\\0").replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r").replaceAll("\t", "\\t").toWellFormed();
}

function readBackKey(name: string, open?: RegExp): string {
  return name === "time" ? "time_" : readBackName(name, open);
}

/** Which backslashes of tags are open: the last one, and those that mislead together. */
function openInTags(tags: ReadonlyMap<string, string>): RegExp {
  const behindBackslash = (texts: readonly string[], characters: RegExp) =>
    texts.some((text) =>
      [...text.matchAll(/(\\+)([,= ])/g)].some(([, slashes = "", character = ""]) =>
        slashes.length % 2 === 1 && characters.test(character)
      )
    );
  const misleading = behindBackslash([...tags.keys()], / /) ||
    behindBackslash([...tags].flat(), / /) && behindBackslash([...tags].flat(), /[,=]/);
  return misleading ? /\\(?=[,= ]|$)/g : /\\$/g;
}

/** Throws where two names become one. */
export function readBack({ measurement, tags, fields, timeNs }: StorePoint): StorePoint {
  const named = new Map([...tags].filter(([, value]) => value !== ""));
  const open = openInTags(named);
  return {
    // a line must not begin like a comment
    measurement: readBackName(measurement.replace(/^#/, "_#")),
    tags: distinct(
      [...named].map(([name, value]) => [readBackKey(name, open), readBackName(value, open)]),
    ),
    fields: distinct(
      [...fields].map(([name, value]) => [
        readBackKey(name),
        typeof value === "number" ? value + 0 : value, // a line has no -0
      ]),
    ),
    timeNs,
  };
}

function distinct<T>(pairs: readonly (readonly [string, T])[]): ReadonlyMap<string, T> {
  const map = new Map(pairs);
  if (map.size === pairs.length) return map;
  throw new Error(`Two of ${JSON.stringify(pairs.map(([name]) => name))} become one name`);
}
