/** What `ingest dead-letters` and the running ingest say to each other. */
import { z } from "zod";
import { numberOf } from "../settings.ts";

/** GET lists, GET with `/<seq>` shows one, POST to `/replay` or `/discard` moves. */
export const DEAD_LETTERS_PATH = "/dead-letters";

/** Some 300 years: whatever is above was meant otherwise. */
export const MAX_AGE_S = 10_000_000_000;
const ageWish = `must be a whole number of seconds from 0 to ${MAX_AGE_S}`;
const age = z.int(ageWish).min(0, ageWish).max(MAX_AGE_S, ageWish).optional();
const ageText = numberOf({ min: 0, max: MAX_AGE_S }).optional();

const seqWish = "must be the number of a dead letter";
const seq = z.int(seqWish).positive(seqWish);
const text = z.string("must be a text").min(1, "must not be empty");

/** Which dead letters are meant: all that is given must hold. */
const selection = {
  /** Stands in the reason, in capitals or not. */
  reason: text.optional(),
  /** SQLite's GLOB, of the event's entity_id. */
  entity: text.max(255, "must have at most 255 characters").optional(),
  /** Refused longer ago than this, in seconds. */
  older_than_s: age,
  newer_than_s: age,
};

/** The query of a list. */
export const deadLetterQuerySchema = z.strictObject({
  ...selection,
  older_than_s: ageText,
  newer_than_s: ageText,
  limit: numberOf({ min: 1, max: 1_000 }).default(50),
  /** Only those of a lower number: the page before one that begins with it. */
  before: numberOf({ min: 1, max: Number.MAX_SAFE_INTEGER }).optional(),
});
export type DeadLetterQuery = z.infer<typeof deadLetterQuerySchema>;

const choice = z.strictObject({
  seqs: z.array(seq, "must be a list of numbers").min(1, "must not be empty")
    .max(1_000, "must have at most 1000 numbers").optional(),
  ...selection,
});
export type DeadLetterSelection = z.infer<typeof choice>;

/** What is to be moved; that everything is meant must be said. */
export const deadLetterMoveSchema = choice.extend({
  all: z.literal(true, "must be true").optional(),
}).refine(({ all, ...chosen }) => (all === true) !== (Object.keys(chosen).length > 0), {
  path: ["all"],
  message: "must be true where nothing else chooses, and absent where something does",
});
export type DeadLetterMove = z.infer<typeof deadLetterMoveSchema>;

const count = z.int().nonnegative();

export const deadLetterSchema = z.object({
  seq,
  /** These three are absent where the event does not say. */
  event_type: z.string().optional(),
  entity_id: z.string().optional(),
  time_fired: z.string().optional(),
  reason: z.string(),
  refused_at: z.string(),
  bytes: count,
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;

/** With the line, byte for byte as it was captured. */
export const fullDeadLetterSchema = deadLetterSchema.extend({ line: z.string() });
export type FullDeadLetter = z.infer<typeof fullDeadLetterSchema>;

/** The newest that match, the newest last. */
export const deadLetterPageSchema = z.object({
  /** How many match, and how many of them are older than those of this page. */
  total: count,
  older: count,
  /** Of all that match, the most frequent first. */
  by_reason: z.array(z.object({ reason: z.string(), count })),
  letters: z.array(deadLetterSchema),
});
export type DeadLetterPage = z.infer<typeof deadLetterPageSchema>;

export const deadLettersMovedSchema = z.object({ moved: count });
