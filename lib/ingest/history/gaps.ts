/** Gaps, the times in which capture did not hear: since when, why, and what became of what was missed. Kept in the outbox's file. */
import { z } from "zod";
import { formatTimeUs } from "../../time.ts";
import type { Outbox } from "../outbox/outbox.ts";

/** Release 0.1.0 called them so, and reads them. */
const META_KEY = "interruptions";
/** So many of the last ones are kept. */
const KEPT = 50;

const gapSchema = z.object({
  reason: z.string(),
  /** Home Assistant's time of the last state that was captured, in microseconds since 1970. */
  fromUs: z.number(),
  /** When capture went on. */
  toUs: z.number().optional(),
  entities: z.number(),
  rows: z.number(),
  /** Entities of which states may be missing for good, by reason. */
  unfilled: z.record(z.string(), z.number()),
  state: z.enum(["open", "filled"]),
});
type Gap = z.infer<typeof gapSchema>;

export class Gaps {
  readonly #outbox: Outbox;
  /** The newest first. */
  readonly #list: Gap[];
  #count = 0;
  readonly #unfilled = new Map<string, number>();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
    const kept = outbox.meta(META_KEY);
    const parsed = z.array(gapSchema).safeParse(
      kept === undefined ? [] : JSON.parse(kept),
    );
    this.#list = parsed.success ? parsed.data : [];
  }

  /** How often capture has stopped since the program's start. */
  get count(): number {
    return this.#count;
  }

  /** Entities of which states may be missing for good, by reason, since the program's start. */
  get unfilledByReason(): ReadonlyMap<string, number> {
    return this.#unfilled;
  }

  /** The one that is not filled yet. */
  get open(): Gap | undefined {
    return this.#list.find(({ state }) => state === "open");
  }

  /** Capture has stopped. One that is not filled yet goes on. */
  begin(reason: string, fromUs: number): void {
    this.#count++;
    if (this.open) this.open.toUs = undefined;
    else {
      this.#list.unshift({ reason, fromUs, entities: 0, rows: 0, unfilled: {}, state: "open" });
      this.#list.length = Math.min(KEPT, this.#list.length);
    }
    this.#save();
  }

  /** Capture goes on. */
  resumed(atUs: number, entities: number): void {
    if (!this.open) return;
    // in a quiet house the newest stamp heard can be older than the last one seen
    this.open.toUs = Math.max(atUs, this.open.fromUs);
    this.open.entities = entities;
    this.#save();
  }

  /** Of so many entities states may be missing for good. */
  unfilled(reason: string, entities: number): void {
    if (entities === 0) return;
    this.#unfilled.set(reason, (this.#unfilled.get(reason) ?? 0) + entities);
    if (this.open) this.open.unfilled[reason] = (this.open.unfilled[reason] ?? 0) + entities;
    this.#save();
  }

  /** So many states were filled in. */
  filled(rows: number): void {
    if (!this.open || rows === 0) return;
    this.open.rows += rows;
    this.#save();
  }

  /** What could be filled is filled. */
  end(): void {
    if (!this.open) return;
    this.open.state = "filled";
    this.#save();
  }

  /** The interval of the one that is not filled yet, for the log, by Home Assistant's time. */
  interval(): string {
    if (!this.open) return "at the first start";
    const { fromUs, toUs } = this.open;
    return `from ${formatTimeUs(fromUs)} to ${toUs === undefined ? "now" : formatTimeUs(toUs)}`;
  }

  /** For the status: what is missing of each, by Home Assistant's time. */
  report() {
    return this.#list.map(({ fromUs, toUs, ...rest }) => ({
      from: formatTimeUs(fromUs),
      to: toUs === undefined ? undefined : formatTimeUs(toUs),
      ...rest,
      not_recoverable: "events that are no states",
    }));
  }

  #save(): void {
    // while the file is full this waits in memory for the next change
    this.#outbox.append([], () => this.#outbox.setMeta(META_KEY, JSON.stringify(this.#list)));
  }
}
