/** What is known of the limits that InfluxDB has met: for a while, and so much of it. */
import { getLogger } from "../../log.ts";
import type { StoreLimit, StorePoint } from "../store.ts";

const log = getLogger("enrich", "influxdb");

/** For so long a point such as one that was limited is not tried. */
const NOT_TRIED_MS = 30_000;
/** For so long a limit is told of after it was last met: ingest tries again within that time. */
const TOLD_MS = 3_600_000;
/** So many kinds of points are known, in some 10 MB at most. Those known longest go first. */
const MAX_SHAPES = 10_000;

/** What a limit can have to do with: measurement, tags and the names of the fields. */
export function shapeOf({ measurement, tags, fields }: StorePoint): string {
  let shape = measurement;
  for (const [name, value] of tags) shape += `,${name}=${value}`;
  for (const name of fields.keys()) shape += ` ${name}`;
  return shape;
}

export class LimitMemory {
  readonly #monotonicMs: () => number;
  readonly #taken = new Set<string>();
  readonly #limited = new Map<string, { readonly limit: StoreLimit; readonly untilMs: number }>();
  readonly #met = new Map<string, { readonly limit: StoreLimit; readonly untilMs: number }>();
  /** Limits that not even one more would fit below. */
  readonly #full = new Map<string, number>();

  constructor(monotonicMs = () => performance.now()) {
    this.#monotonicMs = monotonicMs;
  }

  /** The limit that was in the way of such a point a moment ago. */
  limitOf(shape: string): StoreLimit | undefined {
    const known = this.#limited.get(shape);
    return known && known.untilMs > this.#monotonicMs() ? known.limit : undefined;
  }

  /** Whether such a point was stored: a hint, which may be old. */
  isTaken(shape: string): boolean {
    return this.#taken.has(shape);
  }

  /** Notes that such points are stored. A limit that was in the way of one of them no longer is. */
  noteTaken(shapes: readonly string[]): void {
    for (const shape of shapes) {
      this.#taken.add(shape);
      const known = this.#limited.get(shape);
      if (known) this.#end(known.limit.name);
    }
    forgetOldest(this.#taken);
  }

  /** Notes that the limit was in the way of such points. */
  noteLimited(limit: StoreLimit, shapes: readonly string[]): void {
    const nowMs = this.#monotonicMs();
    if (!this.#met.has(limit.name)) {
      const { reason, wish } = limit;
      log.warn("A limit of InfluxDB keeps events waiting: {reason}; {wish}", { reason, wish });
    }
    this.#met.set(limit.name, { limit, untilMs: nowMs + TOLD_MS });
    for (const shape of shapes) {
      this.#taken.delete(shape);
      this.#limited.delete(shape);
      this.#limited.set(shape, { limit, untilMs: nowMs + NOT_TRIED_MS });
    }
    forgetOldest(this.#limited);
  }

  /** Notes that InfluxDB does not know such points, whatever was stored before. */
  noteNew(shapes: readonly string[]): void {
    for (const shape of shapes) this.#taken.delete(shape);
  }

  /** Notes that the limit was in the way of a single point, so that it is for all that are new. */
  noteFull({ name }: StoreLimit): void {
    this.#full.set(name, this.#monotonicMs() + NOT_TRIED_MS);
  }

  /** Whether that was so a moment ago. */
  isFull({ name }: StoreLimit): boolean {
    return (this.#full.get(name) ?? -Infinity) > this.#monotonicMs();
  }

  /** The limits that were in the way lately. */
  limits(): readonly StoreLimit[] {
    const nowMs = this.#monotonicMs();
    for (const [name, { untilMs }] of this.#met) if (untilMs <= nowMs) this.#met.delete(name);
    return [...this.#met.values()].map(({ limit }) => limit);
  }

  #end(name: string): void {
    this.#full.delete(name);
    if (this.#met.delete(name)) {
      log.info("InfluxDB's limit is no longer in the way: {limit}", { limit: name });
    }
    for (const [shape, { limit }] of this.#limited) {
      if (limit.name === name) this.#limited.delete(shape);
    }
  }
}

function forgetOldest(known: Pick<Map<string, unknown>, "size" | "keys" | "delete">): void {
  for (const shape of known.keys()) {
    if (known.size <= MAX_SHAPES) return;
    known.delete(shape);
  }
}
