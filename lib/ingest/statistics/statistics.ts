/** Long-term statistics: imported when `ingest import-statistics` asks for it, one import at a time. */
import type { Hono } from "hono";
import { describeIssues } from "../../contract.ts";
import { getLogger } from "../../log.ts";
import { describeError } from "../../retry.ts";
import { readJson } from "../../serve/body.ts";
import { failure } from "../../serve/server.ts";
import { StatisticsImport, type StatisticsOptions } from "./statistics_import.ts";
import {
  IMPORT_PATH,
  type ImportProgress,
  type ImportRequest,
  importRequestSchema,
} from "./statistics_request.ts";
import { NO_IMPORT, StatisticsTally } from "./statistics_tally.ts";

const log = getLogger("ingest", "statistics");

export class Statistics {
  readonly #options: StatisticsOptions;
  readonly #stopping: AbortSignal;
  #tally: StatisticsTally | undefined;
  #running: Promise<void> | undefined;

  /** An import that runs ends when the signal is aborted. */
  constructor(options: StatisticsOptions, stopping: AbortSignal) {
    this.#options = options;
    this.#stopping = stopping;
  }

  get progress(): ImportProgress {
    return this.#tally?.progress ?? NO_IMPORT;
  }

  /** Resolves when none is under way. */
  async ended(): Promise<void> {
    await this.#running;
  }

  /** Begins an import. Returns false while one is under way. */
  start(request: ImportRequest): boolean {
    if (this.#tally?.running) return false;
    this.#tally = new StatisticsTally();
    this.#running = this.#import(request, this.#tally);
    return true;
  }

  /** Adds `/import-statistics` to the program's routes. */
  addTo(app: Hono): void {
    // the command of release 0.1.0 wants two more numbers: the next release can do without
    app.get(IMPORT_PATH, (c) => c.json({ ...this.progress, skipped: 0, refused: 0 }));
    app.post(IMPORT_PATH, async (c) => {
      const body = await readJson(c.req.raw, { maxBytes: 10_000, deadlineMs: 10_000 });
      const request = importRequestSchema.safeParse(body);
      if (!request.success) return failure(422, describeIssues(request.error));
      if (this.start(request.data)) return c.json(this.progress, 202);
      return failure(409, `An import is under way already, see GET ${IMPORT_PATH}`);
    });
  }

  async #import(request: ImportRequest, tally: StatisticsTally): Promise<void> {
    const signal = this.#stopping;
    try {
      await new StatisticsImport(this.#options, tally, signal).run(request);
    } catch (error) {
      tally.failed(signal.aborted ? "ingest was stopped" : describeError(error));
    }
    tally.ended();
    const { state, rows, statistics: { done }, seconds, reason } = tally.progress;
    log.info(
      "Import of statistics {state}: {rows} hours of {done} statistics in {seconds} s{why}",
      { state, rows, done, seconds, why: reason ? `: ${reason}` : "" },
    );
  }
}
