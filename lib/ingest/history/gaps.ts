/** Gaps, the times in which capture did not hear: since when, why, and what became of what was missed. Kept in the outbox's file. */
import * as z from "zod";
import { getLogger } from "../../log.ts";
import { formatTimeUs } from "../../time.ts";
import type { Outbox } from "../outbox/outbox.ts";

/** Release 0.1.0 called them so, and reads them. */
const META_KEY = "interruptions";
/** So many of the last ones are kept, and all that are not filled yet. */
const KEPT = 50;

/** A person has chosen what the recorder leaves out, and what has another id now. */
const BY_CHOICE = ["not recorded", "renamed"];

const log = getLogger("ingest", "filling");

const gapSchema = z.object({
  reason: z.string(),
  /** Up to this stamp of Home Assistant's everything was captured, in microseconds since 1970. */
  fromUs: z.number(),
  /** When capture went on. */
  toUs: z.number().optional(),
  /** It belongs to an import, which was not done when capture stopped: it begins where that does. */
  isImport: z.boolean().optional(),
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
  #list: Gap[];
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

  get #open(): Gap[] {
    return this.#list.filter(({ state }) => state === "open");
  }

  /** Whether there is one that began then and is not filled yet. */
  isOpen(fromUs: number): boolean {
    return this.#open.some((gap) => gap.fromUs === fromUs);
  }

  /** As `isOpen`, of those up to whose begin all was captured. */
  isCapturedBefore(fromUs: number): boolean {
    return this.#open.some((gap) => gap.fromUs === fromUs && !gap.isImport);
  }

  /** Capture has stopped. One in which it did not go on meanwhile goes on. */
  begin(reason: string, fromUs: number, isImport = false): void {
    this.#count++;
    const same = this.#open.find((gap) => gap.toUs === undefined || gap.fromUs === fromUs);
    if (same) same.toUs = undefined;
    else {
      const gap: Gap = { reason, fromUs, entities: 0, rows: 0, unfilled: {}, state: "open" };
      this.#list.unshift(isImport ? { ...gap, isImport } : gap);
      this.#list = this.#list.filter(({ state }, i) => i < KEPT || state === "open");
    }
    this.#save();
  }

  /** Capture goes on, and what is missing is known: `entities` by the begin of their gap. */
  resumed(atUs: number, entities: ReadonlyMap<number, number>): void {
    for (const gap of this.#open) {
      if (gap.toUs !== undefined) continue;
      // in a quiet house the newest stamp heard can be older than the last one seen
      gap.toUs = Math.max(atUs, gap.fromUs);
      gap.entities = entities.get(gap.fromUs) ?? 0;
    }
    this.settle(entities);
  }

  /** Of so many entities states may be missing for good. */
  unfilled(reason: string, entities: number, fromUs: number): void {
    this.#unfilled.set(reason, (this.#unfilled.get(reason) ?? 0) + entities);
    const gap = this.#open.find((one) => one.fromUs === fromUs);
    if (gap) gap.unfilled[reason] = (gap.unfilled[reason] ?? 0) + entities;
    this.#save();
    const interval = gap ? intervalOf(gap) : `since ${formatTimeUs(fromUs)}`;
    log[BY_CHOICE.includes(reason) ? "info" : "warn"](
      "What {entities} entities missed {interval} cannot all be filled in: {reason}",
      { entities, interval, reason },
    );
  }

  /** So many states were filled in. */
  filled(rows: number, fromUs: number): void {
    const gap = this.#open.find((one) => one.fromUs === fromUs);
    if (!gap || rows === 0) return;
    gap.rows += rows;
    this.#save();
  }

  /** Of these, by their begin, states are missing still; all others are filled. */
  settle(missing: ReadonlyMap<number, number>): void {
    for (const gap of this.#open) {
      if (gap.toUs !== undefined && !missing.has(gap.fromUs)) gap.state = "filled";
    }
    this.#save();
  }

  /** For the status: what is missing of each, by Home Assistant's time. */
  report(missing: ReadonlyMap<number, number> = new Map()) {
    return this.#list.map(({ fromUs, toUs, isImport: _, ...rest }) => ({
      from: formatTimeUs(fromUs),
      to: toUs === undefined ? undefined : formatTimeUs(toUs),
      ...rest,
      /** Entities of which states are still to be filled in. */
      missing: rest.state === "open" ? missing.get(fromUs) ?? 0 : 0,
      not_recoverable: "events that are no states",
    }));
  }

  #save(): void {
    // while the file is full this waits in memory for the next change
    this.#outbox.append([], () => this.#outbox.setMeta(META_KEY, JSON.stringify(this.#list)));
  }
}

function intervalOf({ fromUs, toUs }: Gap): string {
  return `from ${formatTimeUs(fromUs)} to ${toUs === undefined ? "now" : formatTimeUs(toUs)}`;
}
