/** What `deno compile` has put into an executable, read without running it. */
import { Buffer } from "node:buffer";
import * as z from "zod";

const MAGIC = "d3n0l4nd";

const metadataSchema = z.object({ permissions: z.record(z.string(), z.unknown()) });

/**
 * The permissions, by their names there; `[]` stands for all of a kind. Those that are not given
 * are left out. Throws where it is no compiled program.
 */
export function bakedPermissions(path: string): Record<string, unknown> {
  const bytes = Buffer.from(Deno.readFileSync(path).buffer);
  // the magic word, the length of the metadata, the metadata; the word alone is in Deno's code too
  for (let at = bytes.indexOf(MAGIC); at !== -1; at = bytes.indexOf(MAGIC, at + 1)) {
    if (bytes[at + 16] !== 0x7b) continue;
    const end = at + 16 + Number(bytes.readBigUInt64LE(at + 8));
    const { permissions } = metadataSchema.parse(JSON.parse(bytes.toString("utf8", at + 16, end)));
    return Object.fromEntries(
      Object.entries(permissions).filter(([name, value]) =>
        // Deno's own list of hosts is there even where all of them are denied
        value !== null && name !== "allow_import"
      ),
    );
  }
  throw new Error(`Cannot read ${path}: it is no compiled program`);
}

/** What the design allows the programs, and nothing else: no run, no ffi, no question asked. */
export const PERMISSIONS = {
  allow_env: [],
  allow_net: [],
  allow_read: [],
  allow_sys: ["statfs"],
  allow_write: [],
  deny_import: [],
  prompt: false,
};
