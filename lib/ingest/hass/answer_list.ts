/** Lists as Home Assistant answers them. */
import { z } from "zod";

/** Those of a list's entries that can be read: one odd entry must not cost the others. */
export function listOf<T extends z.ZodType>(entry: T) {
  return z.array(z.unknown()).transform((entries) =>
    entries.flatMap((raw) => {
      const parsed = entry.safeParse(raw);
      return parsed.success ? [parsed.data] : [];
    })
  );
}
