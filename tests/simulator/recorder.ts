/** The recorder: a queue with one writer. What is queued shows in the history once committed. */
import type { Clock, Stamp, Version } from "./clock.ts";
import { answerHistory, type HistoryAnswer, type HistoryQuery } from "./history_query.ts";
import { type RecordedRow, removalRow, rowOf } from "./recorded_row.ts";
import type { HassState } from "./states.ts";

const MAX_ROWS_PER_ENTITY = 100_000;
const MAX_BACKLOG = 65_000;

type Task =
  | { readonly kind: "row"; readonly entityId: string; readonly row: RecordedRow }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "barrier"; readonly answer: () => void };

/** A task, and the commit interval in which it came. */
interface Queued {
  readonly task: Task;
  readonly interval: number;
}

/** Keeps every state, and shows those that it has committed. */
export class Recorder {
  /** `recorder/info`: false as above 65,000 waiting entries: nothing is recorded until a restart. */
  recording = true;
  /** `recorder/info`: false as after a crash of the thread: nothing is committed until a restart. */
  threadRunning = true;
  /** `recorder/info` only: `hold` is what keeps the rows back meanwhile. */
  migrationInProgress = false;
  /** False after the service `recorder.disable`: what is written then gets no row. */
  enabled = true;
  /**
   * True: a barrier is answered at once, though rows wait, as 2024.3 and 2025.4 do while they
   * prepare the first batch after a start.
   */
  answersEarly = false;
  readonly #version: Version;
  readonly #clock: Clock;
  readonly #commitIntervalMs: number;
  readonly #rows = new Map<string, RecordedRow[]>();
  #queue: Queued[] = [];
  #held = false;
  #failNext = false;
  /** When each run began, in seconds since 1970. */
  readonly #runs: number[];
  #oldest?: number;

  /** Rows show once the interval in which they came has passed; 0 shows them at once. */
  constructor(version: Version, clock: Clock, commitIntervalMs: number) {
    this.#version = version;
    this.#clock = clock;
    this.#commitIntervalMs = commitIntervalMs;
    this.#runs = [clock.seconds];
  }

  /** Commits nothing until `release`, as under a backup's lock, a locked database, a migration. */
  hold(): void {
    this.#commitDue();
    this.#held = true;
  }

  /** Ends `hold`: all that waits is committed, in order. */
  release(): void {
    this.#held = false;
    this.#commitAll();
  }

  /** Rows that are not committed yet never appear: a batch was rolled back. Later ones do. */
  loseQueued(): void {
    this.#commitDue();
    this.#queue = this.#queue.filter(({ task }) => task.kind !== "row");
  }

  /** The commit that the next barrier waits for fails: it gets no answer, and its rows are lost. */
  failNextCommit(): void {
    this.#failNext = true;
  }

  /** Deletes committed rows from before that moment (seconds since 1970), present states' too. */
  purge(beforeSeconds: number): void {
    if (this.#isWorking) this.#commitAll();
    for (const [entityId, rows] of this.#rows) {
      const kept = rows.filter(({ lastUpdated }) => lastUpdated >= beforeSeconds);
      if (kept.length > 0) this.#rows.set(entityId, kept);
      else this.#rows.delete(entityId);
    }
    this.#findOldest();
  }

  /** How many tasks wait for a recorder that is held; else it takes them at once. */
  get backlog(): number {
    return this.#isWorking ? 0 : this.#queue.length;
  }

  /** The JSON text of `recorder/info`. */
  infoText(): string {
    return JSON.stringify({
      backlog: this.backlog,
      ...this.#version === "2024.3.3" ? {} : { db_in_default_location: true },
      max_backlog: MAX_BACKLOG,
      migration_in_progress: this.migrationInProgress,
      migration_is_live: false,
      recording: this.recording,
      thread_running: this.threadRunning,
    });
  }

  /** Records a new state; `byEntity` where an integration's entity wrote it, not a script or REST. */
  record(state: HassState, byEntity: boolean): void {
    this.#oldest ??= state.lastUpdated.seconds;
    this.#record(state.entityId, rowOf(state, byEntity));
  }

  /** Records that an entity was removed; one that has no row leaves none. */
  recordRemoval(entityId: string, stamp: Stamp): void {
    this.#record(entityId, removalRow(stamp));
  }

  /** Moves the history to a new id, unless that has one; all that was queued is committed first. */
  rename(from: string, to: string): void {
    this.#push({ kind: "rename", from, to });
    if (this.#isWorking) this.#commitAll();
  }

  /** A barrier: calls back once all that is queued now is committed. */
  whenCommitted(answer: () => void): void {
    if (this.answersEarly) return answer();
    this.#push({ kind: "barrier", answer });
    if (this.#isWorking) this.#commitAll();
  }

  /** Whether there may be states as old as that (seconds since 1970). */
  hasStatesBefore(seconds: number): boolean {
    const oldest = this.#version === "2024.3.3" ? this.#runs[0] : this.#oldest;
    return oldest !== undefined && seconds >= oldest;
  }

  /** What the committed rows tell. */
  history(query: HistoryQuery): HistoryAnswer {
    this.#commitDue();
    return answerHistory(
      query,
      (entityId) => this.#rows.get(entityId) ?? [],
      this.#oldestStartState(query),
    );
  }

  /** Ends a run in order, so that what waits is committed; held, or in a crash, it is lost. */
  endRun(crashed: boolean): void {
    if (!crashed && this.#isWorking) this.#commitAll();
    this.#queue = [];
    this.#held = false;
    this.#failNext = false;
  }

  /** Starts the next run. */
  startRun(): void {
    this.recording = true;
    this.threadRunning = true;
    this.enabled = true;
    this.migrationInProgress = false;
    this.#runs.push(this.#clock.seconds);
    this.#findOldest();
  }

  get #isWorking(): boolean {
    return !this.#held && this.threadRunning;
  }

  get #interval(): number {
    return Math.floor(this.#clock.seconds * 1000 / this.#commitIntervalMs);
  }

  #record(entityId: string, row: RecordedRow): void {
    if (this.recording && this.enabled) this.#push({ kind: "row", entityId, row });
  }

  #push(task: Task): void {
    this.#commitDue();
    this.#queue.push({ task, interval: this.#interval });
    if (this.#commitIntervalMs === 0 && this.#isWorking) this.#commitAll();
  }

  /** Commits what came in an earlier interval. A clock that went back is in another one too. */
  #commitDue(): void {
    if (!this.#isWorking || this.#queue.length === 0) return;
    const present = this.#interval;
    const first = this.#queue.findIndex(({ interval }) => interval === present);
    this.#commit(this.#queue.splice(0, first === -1 ? Infinity : first));
  }

  #commitAll(): void {
    this.#commit(this.#queue.splice(0));
  }

  #commit(queued: readonly Queued[]): void {
    let pending: Task[] = [];
    for (const { task } of queued) {
      if (task.kind !== "barrier") pending.push(task);
      else if (this.#failNext) {
        this.#failNext = false;
        pending = pending.filter(({ kind }) => kind !== "row");
      } else {
        for (const done of pending.splice(0)) this.#write(done);
        task.answer();
      }
    }
    for (const task of pending) this.#write(task);
  }

  #write(task: Task): void {
    if (task.kind === "row") this.#insert(task.entityId, task.row);
    else if (task.kind === "rename") {
      const rows = this.#rows.get(task.from);
      if (rows === undefined || this.#rows.has(task.to)) return;
      this.#rows.delete(task.from);
      this.#rows.set(task.to, rows);
    }
  }

  #insert(entityId: string, row: RecordedRow): void {
    const rows = this.#rows.get(entityId);
    if (rows === undefined) {
      if (row.state !== null) this.#rows.set(entityId, [row]);
      return;
    }
    // in the order of time, as the database gives them, also where the clock went back
    const before = rows.findLastIndex(({ lastUpdated }) => lastUpdated <= row.lastUpdated);
    rows.splice(before + 1, 0, row);
    if (rows.length > MAX_ROWS_PER_ENTITY) rows.shift();
  }

  #findOldest(): void {
    const firsts = [...this.#rows.values()].map(([first]) => first.lastUpdated);
    this.#oldest = firsts.length === 0
      ? undefined
      : firsts.reduce((oldest, first) => Math.min(oldest, first));
  }

  /** 2024.3 looks no further back than the run that held at the start, for one entity further. */
  #oldestStartState({ start, entityIds }: HistoryQuery): number {
    if (this.#version !== "2024.3.3") {
      return this.#oldest !== undefined && this.#oldest < start ? -Infinity : Infinity;
    }
    const run = this.#runs.findLast((began) => began < start);
    if (run === undefined) return Infinity;
    return new Set(entityIds).size === 1 ? -Infinity : run;
  }
}
