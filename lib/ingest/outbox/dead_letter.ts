/** What a dead letter is to those who ask for it, and how they say which ones they mean. */
import * as z from "zod";

/** Some 300 years: whatever is above was meant otherwise. */
export const MAX_AGE_S = 10_000_000_000;
const ageWish = `must be a whole number of seconds from 0 to ${MAX_AGE_S}`;
const age = z.int(ageWish).min(0, ageWish).max(MAX_AGE_S, ageWish).optional();

const seqWish = "must be the number of a dead letter";
const seq = z.int(seqWish).positive(seqWish);
const text = z.string("must be a text").min(1, "must not be empty");

/** Which dead letters are meant: all that is given must hold. */
export const deadLetterSelectionSchema = z.strictObject({
  seqs: z.array(seq, "must be a list of numbers").min(1, "must not be empty")
    .max(1_000, "must have at most 1000 numbers").optional(),
  /** Stands in the reason, in capitals or not. */
  reason: text.optional(),
  /** SQLite's GLOB, of the event's entity_id. */
  entity: text.max(255, "must have at most 255 characters").optional(),
  /** Refused longer ago than this, in seconds. */
  older_than_s: age,
  newer_than_s: age,
});
export type DeadLetterSelection = z.infer<typeof deadLetterSelectionSchema>;

/** A page of a list: the newest `limit` of those below the number `before`. */
export interface DeadLetterQuery extends Omit<DeadLetterSelection, "seqs"> {
  readonly limit: number;
  readonly before?: number;
}

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
