/**
 * Follows each entity's chain of states. An event names the state that it replaces by its stamp;
 * where that is not the last one seen, states are missing in between. All of it stands in the
 * outbox's file and changes in the transaction of the event.
 */
import type { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { Meta } from "./meta.ts";
import { takeOverGaps } from "./gap_table.ts";
import { LATE_US, type MissingStates, SLACK_US } from "./missing_states.ts";
import { type KnownState, type SeenState, SeenStates } from "./seen_states.ts";

const OPENED = "gap_opened";
/** So many entities that were heard last are remembered: the recorder may leave out most of them. */
const MAX_WITNESSES = 500;
const DAY_US = 86_400_000_000;
/** So much may the pace of two clocks differ without one having been set. */
const PACE = 1 / 1_000;

/** A state that was heard: its entity, and the stamp of the state that it replaced. */
export interface StateStamp {
  readonly entityId: string;
  readonly previousUs?: number;
  readonly known: KnownState;
}

/** The line of an event that was heard, and what it says of an entity's state. */
export interface Spooled {
  readonly line: string;
  readonly stamp?: StateStamp;
  /** Home Assistant's time of the event. */
  readonly firedUs?: number;
}

/** Since when states may be missing, while nobody has compared yet. */
const openedSchema = z.object({
  /** Up to this stamp everything was heard. */
  fromUs: z.number(),
  /** See Heard; 0 where it is not known. */
  atMs: z.number(),
  /** It is the first start's import: so many days are wanted. */
  importDays: z.number().optional(),
});
export type Opened = z.infer<typeof openedSchema>;

export class StateChain {
  readonly #db: DatabaseSync;
  readonly #meta: Meta;
  readonly #missing: MissingStates;
  readonly seen: SeenStates;
  #opened: Opened | undefined;
  #openings = 0;
  /** What was heard since capture went on, with its last stamp: get_states is older. */
  readonly #heardSince = new Map<string, number>();
  readonly #witnesses = new Map<string, number>();

  constructor(db: DatabaseSync, missing: MissingStates) {
    this.#db = db;
    this.#missing = missing;
    this.seen = new SeenStates(db);
    this.#meta = new Meta(db);
    this.reload();
  }

  /** Reads again what is kept in memory, after a transaction was rolled back. */
  reload(): void {
    this.seen.reload();
    const kept = this.#meta.get(OPENED);
    this.#opened = kept === undefined ? undefined : openedSchema.parse(JSON.parse(kept));
  }

  /** Since when states may be missing; undefined once the present states were compared. */
  get opened(): Opened | undefined {
    return this.#opened;
  }

  /** How often that began, or went on, since the program's start. */
  get openings(): number {
    return this.#openings;
  }

  /** Within a transaction: capture has stopped, or had. */
  open(): void {
    this.#openings++;
    this.#heardSince.clear();
    const missedSinceUs = takeOverGaps(this.#db);
    if (this.#opened) return;
    const heard = this.seen.heard();
    if (missedSinceUs !== undefined) this.#setOpened({ fromUs: missedSinceUs, atMs: 0 });
    else if (heard) this.#setOpened({ fromUs: heard.us, atMs: heard.atMs });
  }

  /** Within a transaction: what the recorder has of these days is wanted, up to now. */
  openImport(nowUs: number, importDays: number): void {
    this.#setOpened({ fromUs: nowUs - importDays * DAY_US, atMs: 0, importDays });
  }

  #setOpened(opened: Opened): void {
    this.#opened = opened;
    this.#meta.set(OPENED, JSON.stringify(opened));
  }

  /** Within the transaction of these events, which were heard in this order. */
  heard(events: readonly Spooled[]): void {
    const ends = new Map<string, SeenState>();
    for (const { stamp } of events) {
      if (!stamp) continue;
      const { entityId, known } = stamp;
      this.#follow(stamp, ends.get(entityId) ?? this.seen.last(entityId));
      ends.set(entityId, {
        known,
        lastUpdatedUs: known.lastUpdatedUs,
        isGone: known.state === null,
      });
      this.#witness(entityId, known.lastUpdatedUs);
    }
    this.seen.seeAll([...ends].flatMap(([id, { known }]) => known ? [[id, known] as const] : []));
    for (const [entityId, { lastUpdatedUs }] of ends) this.#heardSince.set(entityId, lastUpdatedUs);
    const lastUs = events.findLast(({ firedUs }) => firedUs !== undefined)?.firedUs;
    if (lastUs !== undefined) this.seen.hear(lastUs);
  }

  #follow({ entityId, previousUs, known }: StateStamp, last: SeenState | undefined): void {
    if (last && previousUs === last.lastUpdatedUs) return;
    const isNew = previousUs === undefined && last?.isGone;
    if (!this.#opened && (!last || isNew)) return;
    // what was heard before may be written down though what is missing is not
    this.#witnesses.clear();
    this.#add(entityId, last, { toUs: known.lastUpdatedUs, proofUs: previousUs });
  }

  #witness(entityId: string, lastUpdatedUs: number): void {
    this.#witnesses.delete(entityId);
    this.#witnesses.set(entityId, lastUpdatedUs);
    if (this.#witnesses.size <= MAX_WITNESSES) return;
    for (const oldest of this.#witnesses.keys()) return void this.#witnesses.delete(oldest);
  }

  /** States that were heard since something was found missing, one an entity: once the recorder shows one of them it has seen to all before. */
  get witnesses(): ReadonlyMap<string, number> {
    return this.#witnesses;
  }

  /** Whether nobody has heard this present state, nor one after it. */
  isUnseen(entityId: string, lastUpdatedUs: number): boolean {
    const last = this.seen.last(entityId);
    if (!last) return true;
    // one whose removal the recorder does not show is gone since its last state, which may have come since
    const isSame = last.lastUpdatedUs === lastUpdatedUs && !last.isGone;
    return !isSame && this.#heardSince.get(entityId) !== last.lastUpdatedUs;
  }

  /** Within the transaction in which it is spooled: this unseen present state ends what is missing of its entity. */
  shown(entityId: string, known: KnownState): void {
    const last = this.seen.last(entityId);
    const { lastUpdatedUs } = known;
    // the recorder has a row of this state, too, which knows what it replaced
    const bounds = { toUs: lastUpdatedUs + 1, proofUs: lastUpdatedUs };
    if (last || this.#opened) this.#add(entityId, last, bounds);
    this.seen.see(entityId, known);
  }

  /** Within a transaction: these have no state any more, and what came before that may be missing. */
  gone(entityIds: Iterable<string>): void {
    for (const entityId of entityIds) this.#add(entityId, this.seen.last(entityId), {});
  }

  /** Entities that were seen, but have no present state, nor one that was heard since. */
  goneSince(present: ReadonlySet<string>, seen = this.seen.entityIds()): string[] {
    // one whose event was undone, in a transaction that failed, was not heard
    const wasHeard = (id: string) => this.#heardSince.get(id) === this.seen.last(id)?.lastUpdatedUs;
    return seen.filter((id) => !present.has(id) && !wasHeard(id));
  }

  #add(
    entityId: string,
    last: SeenState | undefined,
    { toUs, proofUs }: { readonly toUs?: number; readonly proofUs?: number },
  ): void {
    const { fromUs: beginUs, importDays } = this.#opened ?? {};
    const fromUs = last?.lastUpdatedUs ?? beginUs;
    if (fromUs === undefined) return;
    this.#missing.add({
      entityId,
      fromUs,
      toUs,
      beginUs: beginUs ?? fromUs,
      lastState: last?.known,
      // of an import nobody knows what the recorder must have
      proofUs: importDays === undefined ? proofUs : undefined,
      startsLater: beginUs !== undefined,
    });
  }

  /**
   * Within a transaction: the present states were compared. `nowUs`: the time of Home Assistant's
   * clock, at the latest; it may be too late by `marginUs`. Reading begins where capture stopped; earlier
   * where that clock went back.
   */
  compared(nowUs: number, marginUs = 0): void {
    this.#witnesses.clear();
    this.#missing.gone(nowUs - marginUs);
    if (!this.#opened) return;
    this.startReading(nowUs);
    this.#opened = undefined;
    this.#meta.delete(OPENED);
  }

  /**
   * Within a transaction: notes where reading begins, for at most `most` of what is missing, and returns for
   * how many. In a large house steps of this come before `compared`, which does the rest.
   */
  startReading(nowUs: number, most?: number): number {
    if (!this.#opened) return 0;
    const { fromUs, atMs, importDays } = this.#opened;
    if (importDays !== undefined) {
      return this.#missing.startImport(nowUs - importDays * DAY_US, most);
    }
    const sinceUs = this.seen.sinceUs({ us: fromUs, atMs });
    const wentBackUs = atMs === 0 ? 0 : fromUs + sinceUs - nowUs;
    const earlyUs = LATE_US + (atMs === 0 ? 0 : Math.max(0, Math.round(sinceUs * PACE)));
    const isBack = wentBackUs > earlyUs;
    const isAll = isBack || fromUs > nowUs;
    const backUs = isBack ? fromUs - wentBackUs : isAll ? nowUs - DAY_US : fromUs;
    return this.#missing.start(nowUs, {
      isAll,
      earlyUs,
      backUs: backUs - SLACK_US,
      ...(isBack ? { untilUs: fromUs + sinceUs + SLACK_US } : {}),
    }, most);
  }
}
