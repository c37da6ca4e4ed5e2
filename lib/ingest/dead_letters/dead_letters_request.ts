/** What `ingest dead-letters` and the running ingest say to each other. */
import * as z from "zod";
import { numberOf } from "../../settings/settings_reader.ts";
import { deadLetterSelectionSchema, MAX_AGE_S } from "../outbox/dead_letter.ts";

/** GET lists, GET with `/<seq>` shows one, POST to `/replay` or `/discard` moves. */
export const DEAD_LETTERS_PATH = "/dead-letters";

const age = numberOf({ min: 0, max: MAX_AGE_S }).optional();

/** The query of a list. */
export const deadLetterQuerySchema = deadLetterSelectionSchema.omit({ seqs: true }).extend({
  older_than_s: age,
  newer_than_s: age,
  limit: numberOf({ min: 1, max: 1_000 }).default(50),
  /** Only those of a lower number: the page before one that begins with it. */
  before: numberOf({ min: 1, max: Number.MAX_SAFE_INTEGER }).optional(),
});

/** What is to be moved; that everything is meant must be said. */
export const deadLetterMoveSchema = deadLetterSelectionSchema.extend({
  all: z.literal(true, "must be true").optional(),
}).refine(({ all, ...chosen }) => (all === true) !== (Object.keys(chosen).length > 0), {
  path: ["all"],
  message: "must be true where nothing else chooses, and absent where something does",
});
export type DeadLetterMove = z.infer<typeof deadLetterMoveSchema>;

export const deadLettersMovedSchema = z.object({ moved: z.int().nonnegative() });
