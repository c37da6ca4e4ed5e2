/** What InfluxDB's answers say about the lines of one batch, and when to stop looking for those to blame. */
import { redact } from "../../log.ts";
import type { PointOutcome, StoreLimit } from "../store.ts";
import type { SliceOutcome } from "./bisect.ts";
import { type Answer, blamesPoints } from "./influxdb_answer.ts";
import { type LimitMemory, pointOf } from "./limit_memory.ts";
import { namedLines } from "./line_errors.ts";
import { countBeyondRetention } from "./retention.ts";
import { describeLimit, limitIn, UNKNOWN, unknownLimit, WRITE_WINDOW } from "./server_limit.ts";

/** A point's line. `shape` is what a limit can have to do with. */
export interface Line {
  readonly text: string;
  /** The point's place in the batch. */
  readonly index: number;
  readonly timeNs: bigint;
  readonly shape: string;
}

/** So many lines that fail alone, and none stored: it is not they who are to blame. */
const MANY_ALONE = 10;
/** The same beside lines that are stored. */
const MANY_BESIDE_STORED = 30;

/** So often the lines that an answer names are set apart: one that names too few would do so without end. */
const MAX_APART = 10;

/** Of a line that 3 names: what is wrong with that line, and no other. */
const OF_THE_LINE =
  /^(?:invalid column type|Field type mismatch|invalid line protocol|'[^']*' is a reserved column)/;

export const SKIPPED = { kind: "skipped", reason: "retention" } as const;
const PENDING = { kind: "pending" } as const;

/**
 * The lines to blame for an answer are found by bisection, but not at any price: where more than
 * ten failed alone and none was stored, or more than thirty beside others that were, a slice that
 * fails is left pending as it is. That does not hold for what the server refuses in words that are
 * known, or beside others that are stored: those are all found.
 */
export class BatchJudge {
  readonly #memory: LimitMemory;
  #hasStored = false;
  #failedAlone = 0;
  /** What was refused alone in words that nobody knows. */
  readonly #refusedAlone = new Map<Line, string>();
  /** What was left as it is while no other was stored. */
  readonly #unresolved = new Set<Line>();
  #limit: StoreLimit | undefined;
  /** How often the lines that an answer names were set apart. */
  #apart = 0;
  /** Shapes of which the server has said that they are new, and not stored. */
  readonly #new = new Set<string>();
  /** Whether not even one that is new fits below the limit. */
  #isFull = false;
  /** Shapes that a limit is in the way of for certain. */
  readonly #limited = new Map<string, PointOutcome>();

  constructor(memory: LimitMemory) {
    this.#memory = memory;
  }

  /** What is known of a line without asking. */
  known({ shape }: Line): PointOutcome | undefined {
    return this.#limited.get(shape);
  }

  /** The answer to a write of these lines, which is one about them. */
  judge(answer: Answer, lines: readonly Line[]): SliceOutcome<Line> {
    if (answer.meaning === "done") {
      this.#hasStored = true;
      const shapes = new Set(lines.map(({ shape }) => shape));
      for (const shape of shapes) this.#new.delete(shape);
      this.#memory.noteTaken(shapes);
      if (this.#memory.isAnyLimited) {
        this.#memory.noteTaken(
          lines.map(pointOf).filter((point) => this.#memory.isLimited(point)),
        );
      }
      return { kind: "stored" };
    }
    const named = namedLines(answer.lineErrors, lines);
    if (named?.size === lines.length) return this.#told(answer, lines, named);
    if (named && this.#apart++ < MAX_APART) {
      return { kind: "mixed", alone: PENDING, apart: (line) => named.has(line) };
    }
    const met = limitIn(answer);
    if (met?.limit.name === WRITE_WINDOW) return this.#outsideWindow(met, lines);
    if (met) return this.#met(met, lines);
    if (answer.meaning === "again") return this.#failed(PENDING, lines);
    const alone = refusedBy(answer);
    if (blamesPoints(answer)) {
      return countBeyondRetention(answer) === lines.length ? SKIPPED : { kind: "mixed", alone };
    }
    const [only] = lines.length === 1 ? lines : [];
    if (only) this.#refusedAlone.set(only, alone.reason);
    return this.#hasStored ? { kind: "mixed", alone } : this.#failed(alone, lines);
  }

  /**
   * The lines' outcomes in the light of all answers. Where none was stored, what was left as it
   * is belongs to the limit that was met; and a refusal of more than ten in words that nobody knows
   * is a limit, too, be it that time was up before all of them had been tried.
   */
  finish(
    lines: readonly Line[],
    outcomes: readonly PointOutcome[],
  ): readonly PointOutcome[] {
    if (this.#hasStored) return outcomes;
    const [words] = this.#refusedAlone.values();
    const unsettled = outcomes.filter(({ kind }) => kind === "pending").length;
    const isMany = this.#refusedAlone.size + unsettled > MANY_ALONE ||
      this.#memory.limits().some(({ name }) => name === UNKNOWN);
    const limit = words === undefined ? this.#limit : isMany ? unknownLimit(words) : undefined;
    if (!limit) return outcomes;
    const held = lines.filter((line) => this.#refusedAlone.has(line) || this.#unresolved.has(line));
    this.#memory.noteLimited(limit, held.map(({ shape }) => shape));
    const isHeld = new Set(held);
    return outcomes.map((outcome, i) => isHeld.has(lines[i]) ? limitedBy(limit) : outcome);
  }

  /** The server's word for each of the lines, all of which it refused: so it cannot have mistaken one. */
  #told(
    answer: Answer,
    lines: readonly Line[],
    named: ReadonlyMap<Line, string>,
  ): SliceOutcome<Line> {
    const outcomes = lines.map((line): PointOutcome => {
      const reason = named.get(line) ?? "";
      const limit = limitIn({ reason })?.limit;
      if (limit) {
        this.#limit = limit;
        this.#memory.noteLimited(limit, [line.shape]);
        return limitedBy(limit);
      }
      const refused = refusedBy({ ...answer, reason });
      if (!OF_THE_LINE.test(reason)) this.#refusedAlone.set(line, refused.reason);
      return refused;
    });
    return { kind: "each", outcomes };
  }

  #met(
    { limit, dropped }: NonNullable<ReturnType<typeof limitIn>>,
    lines: readonly Line[],
  ): SliceOutcome<Line> {
    this.#limit = limit;
    const alone = limitedBy(limit);
    const shapes = lines.map(({ shape }) => shape);
    const taken = shapes.filter((shape) => this.#memory.isTaken(shape)).length;
    const isSplit = taken > 0 && taken < lines.length;
    const isAllNew = dropped === lines.length && !isSplit;
    if (isAllNew) {
      // there may be room for some of them, which halves tell: InfluxDB 1 counts points, not series
      for (const shape of shapes) this.#new.add(shape);
      this.#isFull ||= lines.length === 1;
    }
    const isHeld = isAllNew ? this.#isFull : lines.length === 1;
    const held = !isHeld ? [] : isAllNew ? [...this.#new] : shapes;
    for (const shape of held) this.#limited.set(shape, alone);
    this.#memory.noteLimited(limit, held);
    if (isAllNew) this.#memory.noteNew(shapes);
    if (isHeld) return dropped === undefined ? this.#failed(alone, lines) : alone;
    if (isSplit) return { kind: "mixed", alone, apart: ({ shape }) => this.#memory.isTaken(shape) };
    return dropped === undefined
      ? this.#failed(alone, lines)
      : { kind: "mixed", alone, apart: firstOfItsShape(lines) };
  }

  /** What is outside is so by its time: others of its shape are not. */
  #outsideWindow(
    { limit, dropped }: NonNullable<ReturnType<typeof limitIn>>,
    lines: readonly Line[],
  ): SliceOutcome<Line> {
    const alone = limitedBy(limit);
    if (dropped !== lines.length) return { kind: "mixed", alone, apart: earlierHalf(lines) };
    // one of them is enough to see that the window is wider now
    this.#memory.noteLimited(limit, lines.slice(-1).map(pointOf));
    return alone;
  }

  /** Lines of which some failed, and perhaps not by a fault of theirs. */
  #failed(alone: PointOutcome, lines: readonly Line[]): SliceOutcome<Line> {
    if (lines.length === 1) this.#failedAlone++;
    else if (this.#failedAlone > (this.#hasStored ? MANY_BESIDE_STORED : MANY_ALONE)) {
      if (this.#hasStored) return PENDING;
      for (const line of lines) this.#unresolved.add(line);
      return { kind: "later" };
    }
    return { kind: "mixed", alone };
  }
}

function refusedBy({ status, reason }: Answer) {
  const words = `InfluxDB answered ${status}${reason && `: ${reason}`}`;
  return { kind: "refused", reason: redact(words) } as const;
}

function limitedBy(limit: StoreLimit): PointOutcome {
  return { kind: "limited", reason: describeLimit(limit) };
}

/** What tells of one line of each shape: the others share its fate. */
function firstOfItsShape(lines: readonly Line[]): (line: Line) => boolean {
  const first = new Map(lines.toReversed().map((line) => [line.shape, line]));
  return (line) => first.get(line.shape) === line;
}

/** Those before the middle one by time, so that halves soon lie on one side of a bound. */
function earlierHalf(lines: readonly Line[]): (line: Line) => boolean {
  const times = lines.map(({ timeNs }) => timeNs).toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0);
  const middle = times[times.length >> 1];
  return ({ timeNs }) => timeNs < middle;
}
