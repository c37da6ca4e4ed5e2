/** Damaged outboxes: recovered when `ingest outbox recover` asks for it, one at a time. */
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Hono } from "hono";
import { describeIssues } from "../../contract.ts";
import { getLogger } from "../../log.ts";
import { describeError, sleep } from "../../retry.ts";
import { readJson } from "../../serve/body.ts";
import { failure } from "../../serve/server.ts";
import { damagedFiles, markRecovered } from "../outbox/damaged_files.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { DamagedOutbox } from "./damaged_outbox.ts";
import { RECOVERY_PATH, type RecoveryProgress, recoveryRequestSchema } from "./recovery_request.ts";

const log = getLogger("ingest", "recovery");

/** What is recovered must not fill the outbox, which would end capture: dead letters do not leave by themselves. */
const MAX_FULLNESS = 0.5;
const RETRY_MS = 1_000;

const NOTHING = { pages_read: 0, pages: 0, events: 0, dead_letters: 0 } as const;

export interface RecoveryOptions {
  readonly outbox: Pick<Outbox, "appendWithRoom" | "deadLetters" | "size">;
  /** The folder of the damaged files. */
  readonly dataDir: string;
  /** Why what waits is not delivered, where that is so: while much waits a recovery waits too. */
  readonly undelivered: () => string | undefined;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #stopping: AbortSignal;
  #progress: RecoveryProgress = { state: "none", ...NOTHING };
  #running: Promise<void> | undefined;

  /** A recovery that runs ends when the signal is aborted. */
  constructor(options: RecoveryOptions, stopping: AbortSignal) {
    this.#options = options;
    this.#stopping = stopping;
  }

  get progress(): RecoveryProgress {
    const waitsFor = this.#options.undelivered() ??
      (this.#isCrowded
        ? "waiting, for the outbox is half full: discard dead letters, or raise OUTBOX_MAX_MB"
        : undefined);
    return { ...this.#progress, reason: this.#progress.reason ?? (this.#running && waitsFor) };
  }

  get #isCrowded(): boolean {
    const { fullness, deadLettersFullness } = this.#options.outbox.size;
    return Math.max(fullness, deadLettersFullness) > MAX_FULLNESS;
  }

  /** Resolves when none is under way. */
  async ended(): Promise<void> {
    await this.#running;
  }

  /** Adds `/outbox/recover` to the program's routes. */
  addTo(app: Hono): void {
    app.get(RECOVERY_PATH, (c) => c.json(this.progress));
    app.post(RECOVERY_PATH, async (c) => {
      const body = await readJson(c.req.raw, { maxBytes: 10_000, deadlineMs: 10_000 });
      const request = recoveryRequestSchema.safeParse(body);
      if (!request.success) return failure(422, describeIssues(request.error));
      const { file } = request.data;
      // under way first: at its end the file has another name
      if (this.#running) return failure(409, `${this.#progress.file} is being recovered already`);
      const files = damagedFiles(this.#options.dataDir);
      if (!files.includes(file)) return failure(404, absence(file, files));
      this.#progress = { ...NOTHING, state: "running", file };
      this.#running = this.#run(file).finally(() => this.#running = undefined);
      return c.json(this.progress, 202);
    });
  }

  async #run(file: string): Promise<void> {
    try {
      const path = join(this.#options.dataDir, file);
      using damaged = new DamagedOutbox(path);
      // the file keeps its name, and the command has the next ingest begin anew
      if (!await this.#take(damaged)) return;
      const { events, dead_letters: letters } = this.#progress;
      const { counted } = damaged;
      if (events + letters === 0 && counted !== 0) {
        throw new Error(
          `Nothing can be read out of ${file}, and it stays as it is; ` +
            "put a copy of it from a backup in its place, or move it out of DATA_DIR to end the note",
        );
      }
      const lost = counted === undefined ? undefined : Math.max(0, counted - events - letters);
      this.#progress = { ...this.#progress, lost, renamed: markRecovered(path), state: "done" };
      log.info("{file} is recovered: {events} events and {letters} dead letters; {lost} are lost", {
        file,
        events,
        letters,
        lost: lost ?? "an unknown number",
      });
    } catch (error) {
      const reason = describeError(error);
      this.#progress = { ...this.#progress, state: "failed", reason };
      log.error("{file} is not recovered: {reason}", { file, reason });
    }
  }

  /** Puts all that can be read into the outbox. Returns false where ingest is stopped first. */
  async #take(damaged: DamagedOutbox): Promise<boolean> {
    const { outbox } = this.#options;
    for (const { lines, letters, pagesRead } of damaged.read()) {
      const step = { lines, also: () => outbox.deadLetters.takeIn(letters) };
      while (this.#isCrowded && !this.#stopping.aborted) await sleep(RETRY_MS, this.#stopping);
      if (!await outbox.appendWithRoom(() => step, this.#stopping)) return false;
      const before = this.#progress;
      this.#progress = {
        ...before,
        events: before.events + lines.length,
        dead_letters: before.dead_letters + letters.length,
        pages_read: pagesRead,
        pages: damaged.pages,
      };
      await nextTurn();
    }
    return true;
  }
}

function absence(file: string, files: readonly string[]): string {
  const there = files.length === 0 ? "none is there" : `there is ${files.join(" and ")}`;
  return `DATA_DIR has no damaged outbox ${JSON.stringify(file)}: ${there}`;
}
