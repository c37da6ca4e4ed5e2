/** What is known of the limits that InfluxDB has met, and so much of the points that they concern. */
import { getLogger } from "../../log.ts";
import type { StoreLimit } from "../store.ts";
import { perShape } from "./per_shape.ts";

const log = getLogger("enrich", "influxdb");

/** For so long a limit is named after it was last met: ingest tries again after an hour at the latest. */
const TOLD_MS = 3_900_000;
/** So many shapes are known that were stored, and so many that were not. Those known longest go first. */
const MAX_SHAPES = 10_000;

/** What a limit can have to do with: measurement, tags and the names of the fields. */
export const shapeOf = perShape(({ measurement, tags, fields }): string => {
  let shape = measurement;
  for (const [name, value] of tags) shape += `,${name}=${value}`;
  for (const name of fields.keys()) shape += ` ${name}`;
  return shape;
});

/** A single point, in a memory of shapes: others of its shape have another time. */
export function pointOf(
  { shape, timeNs }: { readonly shape: string; readonly timeNs: bigint },
): string {
  return `${shape} ${timeNs}`;
}

export class LimitMemory {
  readonly #monotonicMs: () => number;
  /** Shapes that were stored. */
  readonly #taken = new Set<string>();
  /** Shapes that a limit was in the way of, with its name. */
  readonly #limited = new Map<string, string>();
  readonly #met = new Map<string, { readonly limit: StoreLimit; readonly untilMs: number }>();

  constructor(monotonicMs = () => performance.now()) {
    this.#monotonicMs = monotonicMs;
  }

  /** Whether such a point was stored: a hint, which may be old. */
  isTaken(shape: string): boolean {
    return this.#taken.has(shape);
  }

  /** Whether a limit was in the way of such a point, and it was not stored since. */
  isLimited(shape: string): boolean {
    return this.#limited.has(shape);
  }

  /** Whether a limit was in the way of anything that was not stored since. */
  get isAnyLimited(): boolean {
    return this.#limited.size > 0;
  }

  /** Notes that such points are stored. A limit that was in the way of one of them no longer is. */
  noteTaken(shapes: Iterable<string>): void {
    for (const shape of shapes) {
      const limit = this.#limited.get(shape);
      if (limit !== undefined && this.#met.delete(limit)) {
        log.info("The store's limit is no longer in the way: {limit}", { limit });
      }
      this.#limited.delete(shape);
      this.#taken.delete(shape);
      this.#taken.add(shape);
      forgetOldest(this.#taken);
    }
  }

  /** Notes that the limit was in the way of such points. */
  noteLimited(limit: StoreLimit, shapes: readonly string[]): void {
    const { name, reason, wish } = limit;
    if (!this.#met.has(name)) {
      log.warn("A limit of the store keeps events waiting: {reason}; {wish}", { reason, wish });
    }
    this.#met.set(name, { limit, untilMs: this.#monotonicMs() + TOLD_MS });
    for (const shape of shapes) {
      this.#taken.delete(shape);
      this.#limited.delete(shape);
      this.#limited.set(shape, name);
      forgetOldest(this.#limited);
    }
  }

  /** Notes that InfluxDB does not know such points, whatever was stored before. */
  noteNew(shapes: readonly string[]): void {
    for (const shape of shapes) this.#taken.delete(shape);
  }

  /** The limits that were in the way lately. */
  limits(): readonly StoreLimit[] {
    const nowMs = this.#monotonicMs();
    for (const [name, { untilMs }] of this.#met) if (untilMs <= nowMs) this.#met.delete(name);
    return [...this.#met.values()].map(({ limit }) => limit);
  }
}

function forgetOldest(shapes: Set<string> | Map<string, string>): void {
  if (shapes.size <= MAX_SHAPES) return;
  const [oldest] = shapes.keys();
  if (oldest !== undefined) shapes.delete(oldest);
}
