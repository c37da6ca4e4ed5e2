/** What an outbox must hold: the plainest thing that keeps the same promises, in memory. */
import assert from "node:assert/strict";
import type { Spooled } from "../../lib/ingest/outbox/state_chain.ts";
import type { StateStamp } from "../../lib/ingest/outbox/state_chain.ts";

export interface ModelEvent {
  /** Unknown until the file has given one. */
  seq: number;
  readonly line: string;
  /** How often it has failed alone. */
  attempts: number;
}

export interface ModelDeadLetter {
  readonly seq: number;
  readonly line: string;
  readonly reason: string;
  /** The how manieth it was to be buried. */
  readonly nth: number;
}

/** What is missing of one entity. */
export interface ModelStretch {
  readonly entityId: string;
  readonly fromUs: number;
  toUs: number | undefined;
  readonly beginUs: number;
  proofUs: number | undefined;
  /** Undefined until the gap that it belongs to was compared. */
  startUs: number | undefined;
}

interface ModelSeen {
  readonly us: number;
  readonly isGone: boolean;
}

export class Model {
  /** In order; those set aside too. */
  waiting: ModelEvent[] = [];
  /** By number. */
  dead: ModelDeadLetter[] = [];
  delivered = 0;
  readonly leftOut = new Map<string, number>();
  discarded = 0;
  /** Dead letters that gave way to later ones. */
  gaveWay = 0;
  /** Events refused in all, and those of them that are surely counted. */
  refused = 0;
  counted = 0;
  /** The end of each entity's chain. */
  readonly seen = new Map<string, ModelSeen>();
  stretches: ModelStretch[] = [];
  /** The last event that was heard. */
  heardUs: number | undefined;
  /** Since when states may be missing that nobody has looked for. */
  openedUs: number | undefined;
  /** Capture has stopped, or events were refused, and that may not be written yet. */
  gapIsDue = false;
  /** Stamps of states that were heard, or filled in: how often. */
  readonly spooled = new Map<number, number>();
  /** Stamps of states that are in no line, each with its entity; those from before anything was heard are nobody's. */
  readonly unspooled = new Map<number, string>();
  #buried = 0;

  commit(lines: readonly string[], events: readonly Spooled[]): void {
    if (this.gapIsDue) this.open();
    for (const line of lines) this.waiting.push({ seq: 0, line, attempts: 0 });
    for (const { stamp, firedUs } of events) {
      if (stamp) this.#hear(stamp);
      this.heardUs = firedUs ?? this.heardUs;
    }
  }

  /** Up to when nothing is missing: where nothing was heard yet, what was shown says so. */
  get knownUs(): number | undefined {
    if (this.heardUs !== undefined || this.seen.size === 0) return this.heardUs;
    return Math.max(...[...this.seen.values()].map(({ us }) => us));
  }

  open(): void {
    this.openedUs ??= this.knownUs;
    this.gapIsDue = false;
  }

  #hear({ entityId, previousUs, known: { state, lastUpdatedUs: us } }: StateStamp): void {
    const last = this.seen.get(entityId);
    const isWhole = last && previousUs === last.us;
    const isNew = !last || (last.isGone && previousUs === undefined);
    if (!isWhole && (this.openedUs !== undefined || !isNew)) this.add(entityId, us, previousUs);
    this.seen.set(entityId, { us, isGone: state === null });
    this.spool(us);
  }

  /** The state's line is in the file. */
  spool(us: number): void {
    this.spooled.set(us, (this.spooled.get(us) ?? 0) + 1);
    this.unspooled.delete(us);
  }

  /** A present state that nobody had heard. */
  show(entityId: string, us: number): void {
    if (this.seen.has(entityId) || this.openedUs !== undefined) this.add(entityId, us + 1, us);
    this.seen.set(entityId, { us, isGone: false });
    this.unspooled.delete(us);
  }

  /** What is behind the end of its chain is missing, up to there. */
  add(entityId: string, toUs?: number, proofUs?: number): void {
    const endless = this.stretches.find((one) =>
      one.entityId === entityId && one.toUs === undefined
    );
    if (endless) {
      // in another gap it is to be read from where that says
      const startUs = this.openedUs === undefined ? endless.startUs : undefined;
      return void Object.assign(endless, { toUs, proofUs, startUs });
    }
    const fromUs = this.seen.get(entityId)?.us ?? this.openedUs;
    assert.ok(fromUs !== undefined);
    const startUs = this.openedUs === undefined ? fromUs : undefined;
    const beginUs = this.openedUs ?? fromUs;
    this.stretches.push({ entityId, fromUs, toUs, beginUs, proofUs, startUs });
  }

  /** All that is present was compared with what was seen. */
  compared(): void {
    this.openedUs = undefined;
    this.stretches = this.stretches.filter((
      { fromUs, toUs = Infinity, beginUs, proofUs = Infinity, startUs },
    ) => startUs !== undefined || fromUs !== beginUs || (toUs > fromUs && proofUs > fromUs));
    // a step back of the clock of a second would not be noticed
    for (const one of this.stretches) {
      one.startUs ??= Math.max(one.beginUs - 1_000_000, one.fromUs);
    }
  }

  /** One was read to its end. */
  end(entityId: string, fromUs: number): void {
    const one = this.stretches.find((each) => each.entityId === entityId && each.fromUs === fromUs);
    assert.ok(one, `${entityId} is missing from ${fromUs} on`);
    this.stretches = this.stretches.filter((each) => each !== one);
  }

  /** The event waits no more. */
  remove(seq: number): ModelEvent {
    const event = this.waiting.find((one) => one.seq === seq);
    assert.ok(event, `${seq} waits`);
    this.waiting = this.waiting.filter((one) => one !== event);
    return event;
  }

  bury(seq: number, reason: string): void {
    const nth = this.#buried++;
    this.dead.push({ seq, line: this.remove(seq).line, reason, nth });
    this.dead.sort((a, b) => a.seq - b.seq);
  }
}
