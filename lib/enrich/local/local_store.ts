/** Points into an SQLite file of enrich's own, where no InfluxDB is set. */
import type { DatabaseSync } from "node:sqlite";
import { getLogger } from "../../log.ts";
import { describeError } from "../../retry.ts";
import {
  holdAlone,
  isBusy,
  isCorrupt,
  isFull,
  openDatabase,
  Statements,
  transaction,
} from "../../sqlite.ts";
import type { HealthReason } from "../../serve/server.ts";
import { PresentHouse } from "./present_house.ts";
import { type PruneReason, Pruning } from "./pruning.ts";
import { NoRoom, StoreSize } from "./store_size.ts";
import { putPoints, readPoints, SCHEMA } from "./stored_points.ts";
import { checkFields, checkIdentity } from "../point_limits.ts";
import {
  type PointOutcome,
  type Store,
  type StorePoint,
  type StoreStatus,
  StoreUnavailable,
} from "../store.ts";

const log = getLogger("enrich", "store");
const USER_VERSION = 1;
const STORED = { kind: "stored" } as const;
const CORRUPT_WISH = "move the file away, and the next start makes a new one";

const NS_PER_MS = 1_000_000n;
const MS_PER_DAY = 86_400_000;
const NS_PER_DAY = BigInt(MS_PER_DAY) * NS_PER_MS;
/** Room is made when it is so full, or a batch has none; so much, but not of the half that is newest. */
const PRUNE_ABOVE = 0.98;
const PRUNE_PART = 0.03;
const PRUNE_NOT_BELOW = 0.5;
/** Pruning by size leaves it fuller than that. */
const SHORT_ABOVE = 0.9;
/** Where no days are missing its oldest point may all the same be a bit newer. */
const ENOUGH_DAYS = 0.95;
/** Deleting may take some pages before it frees any. */
const PRUNE_PAGES = 1_000;

export interface LocalStoreOptions {
  /** How long points are kept, counted from their own time. */
  readonly days: number;
  /** The most that the file may take on the disk, with its write-ahead log. */
  readonly maxBytes: number;
}

/** The embedded store; one process writes at a time, others may read. */
export class LocalStore implements Store {
  readonly #db: DatabaseSync;
  readonly #lock: DatabaseSync;
  readonly #statements: Statements;
  readonly #path: string;
  readonly #days: number;
  readonly #pruning: Pruning;
  readonly #size: StoreSize;
  readonly #closing = new AbortController();
  #makingRoom = false;
  /** For the page. */
  readonly presentHouse: PresentHouse;
  #problem: string | undefined;
  /** Whether a write of nothing may pass in spite of it. */
  #isOfPoints = false;

  /**
   * Opens, or makes, the file. Throws an Error with a hint where another process holds it, or it is
   * damaged or too new.
   */
  constructor(path: string, { days, maxBytes }: LocalStoreOptions) {
    this.#path = path;
    this.#days = days;
    this.#lock = holdAlone(path);
    try {
      this.#db = openDatabase(path, { userVersion: USER_VERSION, schema: SCHEMA, readers: true });
    } catch (error) {
      this.#lock.close();
      if (!isCorrupt(error)) throw error;
      throw new Error(`Cannot open ${path}: ${describeError(error)}; ${CORRUPT_WISH}`, {
        cause: error,
      });
    }
    this.presentHouse = new PresentHouse(this.#db);
    this.#statements = new Statements(this.#db);
    this.#size = new StoreSize(this.#db, path, maxBytes);
    this.#pruning = new Pruning(this.#db, (work) => this.#attempt(work, PRUNE_PAGES));
  }

  /**
   * One transaction a batch: on the disk when it returns. What InfluxDB would not take is refused.
   * A point older than what is kept is stored, until the next `prune`.
   */
  write(points: readonly StorePoint[]): Promise<readonly PointOutcome[]> {
    return Promise.try(() => {
      const { outcomes, full } = this.#attempt(() => {
        const sound: StorePoint[] = [];
        const outcomes = points.map((point): PointOutcome => {
          try {
            checkIdentity(point);
            checkFields(point);
          } catch (error) {
            return { kind: "refused", reason: describeError(error) };
          }
          sound.push(point);
          return STORED;
        });
        const added = putPoints(this.#statements, sound);
        this.#statements.get("UPDATE total SET points = points + ?").run(added);
        return { outcomes, full: this.#size.fullness > PRUNE_ABOVE };
      });
      if (points.length > 0 || !this.#isOfPoints) this.#problem = undefined;
      if (full) void this.#makeRoom();
      return outcomes;
    });
  }

  async probe(): Promise<void> {
    try {
      await this.write([]);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /**
   * Deletes what is more than the days that are kept older than the newest point, a little at a time
   * so that writes come between, and returns how many points that were. The file does not shrink: its
   * pages are used again. Throws StoreUnavailable.
   */
  prune(nowMs: number, signal: AbortSignal): Promise<number> {
    const nowNs = BigInt(Math.floor(nowMs)) * NS_PER_MS;
    const keptNs = BigInt(this.#days) * NS_PER_DAY;
    return this.#pruning.byAge(nowNs, keptNs, AbortSignal.any([signal, this.#closing.signal]));
  }

  /** Deletes the oldest points until there is room again, while writes go on. */
  async #makeRoom(): Promise<void> {
    if (this.#makingRoom) return;
    this.#makingRoom = true;
    try {
      const { wish, fullness } = this.#size;
      const prunedTo = Math.max(PRUNE_NOT_BELOW, Math.min(fullness, PRUNE_ABOVE) - PRUNE_PART);
      const enough = () => this.#size.fullness <= prunedTo;
      const points = await this.#pruning.bySize(enough, this.#closing.signal);
      if (points > 0) {
        log.info("Deleted {points} points for want of room: {wish}", { points, wish });
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#makingRoom = false;
    }
  }

  /** Points deleted since the start, by reason. */
  get pruned(): ReadonlyMap<PruneReason, number> {
    return this.#pruning.pruned;
  }

  /** When the oldest point is from, statistics apart, in milliseconds since 1970; undefined where none is known. */
  get oldestMs(): number | undefined {
    const { oldestNs } = this.#pruning;
    return oldestNs === undefined ? undefined : Number(oldestNs / NS_PER_MS);
  }

  /** Why it keeps, or soon will keep, fewer days than it is set to; undefined where it has room for them. */
  shortage(nowMs: number): HealthReason | undefined {
    const { fullness, oldestMs } = this;
    if (oldestMs === undefined || fullness < SHORT_ABOVE) return undefined;
    const held = Math.max(0, (nowMs - oldestMs) / MS_PER_DAY);
    if (held >= this.#days * ENOUGH_DAYS) return undefined;
    const percent = Math.min(100, Math.round(fullness * 100));
    return {
      reason: `The local store is ${percent} % full and holds ${Number(held.toFixed(1))} of the ` +
        `${this.#days} days of LOCAL_STORE_DAYS: its oldest points are deleted`,
      action: `${this.#size.wish}, or lower LOCAL_STORE_DAYS`,
    };
  }

  /** How many there are; does not look at the points. */
  counts(): { readonly series: number; readonly points: number } {
    const query = "SELECT points, (SELECT count(*) FROM series) AS series FROM total";
    const row = this.#db.prepare(query).get();
    return { series: Number(row?.series), points: Number(row?.points) };
  }

  /** The bytes of the file and of its write-ahead log. */
  sizeBytes(): number {
    return this.#size.bytes;
  }

  /** The part of the allowed size that is in use, beyond 1 after a bound was lowered. */
  get fullness(): number {
    return this.#size.fullness;
  }

  /** All points, by series and time, of which few are in memory; others may be written meanwhile. */
  read(): Generator<StorePoint> {
    return readPoints(this.#db);
  }

  status(): StoreStatus {
    return {
      description: `the local store ${this.#path} (kept for ${this.#days} days)`,
      problem: this.#problem,
    };
  }

  close(): void {
    if (!this.#db.isOpen) return;
    this.#closing.abort();
    this.#db.close();
    this.#lock.close();
  }

  /** Runs `work` in a transaction. Throws StoreUnavailable, which then is the problem. */
  #attempt<T>(work: () => T, morePages = 0): T {
    try {
      this.#size.enforce(morePages);
      return transaction(this.#db, work);
    } catch (error) {
      if (isFull(error)) void this.#makeRoom();
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): StoreUnavailable {
    if (error instanceof StoreUnavailable) return error;
    this.#isOfPoints = isFull(error) || isCorrupt(error);
    this.#problem = `Cannot write ${this.#path}: ${describeError(error)}; ${this.#wish(error)}`;
    return new StoreUnavailable(this.#problem);
  }

  #wish(error: unknown): string {
    if (error instanceof NoRoom) return error.wish;
    if (isFull(error)) return this.#size.wish;
    if (isCorrupt(error)) return CORRUPT_WISH;
    if (isBusy(error)) return "end the program that writes to it: others may only read it";
    return "check the disk, and the permissions of DATA_DIR";
  }
}
