/** What `ingest outbox recover` and the running ingest say to each other. */
import * as z from "zod";

/** POST starts a recovery (202, 409 while one runs), GET tells how far it is. */
export const RECOVERY_PATH = "/outbox/recover";

export const recoveryRequestSchema = z.strictObject({
  /** The name of a damaged outbox in DATA_DIR. */
  file: z.string("must be the name of a file"),
});
export type RecoveryRequest = z.infer<typeof recoveryRequestSchema>;

const count = z.int().nonnegative();

/** How far the recovery is, or how the last one ended. */
export const recoveryProgressSchema = z.object({
  state: z.enum(["none", "running", "done", "failed"]),
  file: z.string().optional(),
  /** Pages of the file: looked at, and all. */
  pages_read: count,
  pages: count,
  /** What was put into the outbox. */
  events: count,
  dead_letters: count,
  /** How many more the file says that it holds; absent where that cannot be read. */
  lost: count.optional(),
  /** The name that the file has since. */
  renamed: z.string().optional(),
  /** What it waits for, or why it failed. */
  reason: z.string().optional(),
});
export type RecoveryProgress = z.infer<typeof recoveryProgressSchema>;
