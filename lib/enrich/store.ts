/** The port between enrich's receiver and whatever keeps the points. */

/** A field of a point: a number is stored as a float, a text as a string. */
export type FieldValue = number | string;

/** One point, ready to be stored. Measurement, tags and time are its identity. */
export interface StorePoint {
  readonly measurement: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly fields: ReadonlyMap<string, FieldValue>;
  /** Nanoseconds since 1970. */
  readonly timeNs: bigint;
}

/**
 * What became of a point: `stored` is acknowledged by the store, but for its `texts` where it holds
 * only numbers (how many there were), `skipped` is what the store is set not to keep, or a point without
 * a number for such a store, `refused` will never be stored, `pending` is not stored yet and may be at
 * the next attempt, `limited` will be once a person has raised a limit of the store.
 */
export type PointOutcome =
  | { readonly kind: "stored"; readonly texts?: number }
  | { readonly kind: "skipped"; readonly reason: "retention" | "no_number" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "limited"; readonly reason: string }
  | { readonly kind: "pending" };

/** The store could not be asked, or said that it cannot now. Nothing is known about the points. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
  /** `retryAfterMs`: how long the store asked to be left alone. */
  constructor(message: string, readonly retryAfterMs?: number) {
    super(message);
  }
}

/** A limit of the store that is in the way of some points, while it takes the others. */
export interface StoreLimit {
  /** The store's name for it, `unknown` where it has none. */
  readonly name: string;
  /** The store's own words. */
  readonly reason: string;
  /** What a person can do about it. */
  readonly wish: string;
}

/** Something about the store that a person had better set, though it takes points. */
export interface StoreNote {
  /** One word for metrics. */
  readonly name: string;
  readonly reason: string;
  readonly action: string;
}

/** What a store says about itself on the status page and in health. */
export interface StoreStatus {
  /** For people, without secrets: "InfluxDB 1 at http://127.0.0.1:8086, database home". */
  readonly description: string;
  /** What is wrong and what to do about it, or undefined while all is well. */
  readonly problem: string | undefined;
  /** The limits that were in the way of points lately. */
  readonly limits?: readonly StoreLimit[];
  readonly notes?: readonly StoreNote[];
}

export interface Store {
  /**
   * Stores the points and returns one outcome a point, in their order. Writing a
   * point again changes nothing: its fields are united with what is there.
   *
   * Throws StoreUnavailable where nothing is known about any of the points.
   */
  write(
    points: readonly StorePoint[],
    signal: AbortSignal,
  ): Promise<readonly PointOutcome[]>;
  /** Asks the store whether it would take points now, without storing any; the answer shows in `status()`. */
  probe(signal: AbortSignal): Promise<void>;
  status(): StoreStatus;
  close(): void;
}
