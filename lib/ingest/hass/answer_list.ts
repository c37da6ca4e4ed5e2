/** Lists as Home Assistant answers them: one odd entry must not cost the others. */
import * as z from "zod";

/** As much of an odd value as is named. */
const NAMED_CHARS = 200;

/** Those of a list's entries that can be read, and what is odd in each of the others. */
export function readList<T>(
  schema: z.ZodType<T>,
  entries: readonly unknown[],
): { readonly read: T[]; readonly odd: string[] } {
  const read: T[] = [];
  const odd: string[] = [];
  for (const entry of entries) {
    const parsed = schema.safeParse(entry);
    if (parsed.success) read.push(parsed.data);
    else odd.push(parsed.error.issues.map((issue) => describeOdd(entry, issue)).join("; "));
  }
  return { read, odd };
}

function describeOdd(entry: unknown, { path: [name], message }: z.core.$ZodIssue): string {
  const value = name === undefined ? entry : Object(entry)[name];
  return `${String(name ?? "an entry")} ${
    String(JSON.stringify(value)).slice(0, NAMED_CHARS)
  }: ${message}`;
}

/** As `readList`, as a schema, for where nobody asks which entries are odd. */
export function listOf<T>(schema: z.ZodType<T>) {
  return z.array(z.unknown()).transform((entries) => readList(schema, entries).read);
}
