/** What an outbox must hold: the plainest thing that keeps the same promises, in memory. */
import assert from "node:assert/strict";

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

export interface ModelStamp {
  readonly entityId: string;
  readonly lastUpdatedUs: number;
  readonly previousUs?: number;
}

interface ModelGap {
  readonly entityId: string;
  readonly fromUs: number;
  toUs?: number;
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
  readonly seen = new Map<string, number>();
  gaps: ModelGap[] = [];
  /** Capture has stopped, or events were refused, and the gaps may not be written yet. */
  gapsAreDue = false;
  #buried = 0;

  commit(lines: readonly string[], stamps: readonly ModelStamp[]): void {
    if (this.gapsAreDue) this.openGaps();
    for (const line of lines) this.waiting.push({ seq: 0, line, attempts: 0 });
    for (const { entityId, lastUpdatedUs, previousUs } of stamps) {
      this.seen.set(entityId, Math.max(lastUpdatedUs, this.seen.get(entityId) ?? 0));
      const gap = this.gaps.find((one) => one.entityId === entityId && one.toUs === undefined);
      if (gap && gap.fromUs === previousUs) this.gaps = this.gaps.filter((one) => one !== gap);
      else if (gap) gap.toUs = lastUpdatedUs;
    }
  }

  openGaps(): void {
    this.gaps = this.gapsOpened();
    this.gapsAreDue = false;
  }

  /** The gaps once all that are due are open. */
  gapsOpened(): ModelGap[] {
    const endless = new Set(
      this.gaps.filter(({ toUs }) => toUs === undefined).map(({ entityId }) => entityId),
    );
    const opened = [...this.seen].filter(([entityId]) => !endless.has(entityId))
      .map(([entityId, fromUs]) => ({ entityId, fromUs }));
    return [...this.gaps, ...opened];
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
