/** Long-term statistics: imported when `ingest import-statistics` asks for it, one import at a time. */
import type { Hono } from "hono";
import { describeIssues } from "../../contract.ts";
import { getLogger } from "../../log.ts";
import { describeError } from "../../retry.ts";
import { jsonIn, readBody } from "../../serve/body.ts";
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

interface Job {
  readonly request: ImportRequest;
  readonly tally: StatisticsTally;
}

export class Statistics {
  readonly #options: StatisticsOptions;
  #job: Job | undefined;
  #asked = Promise.withResolvers<Job>();

  constructor(options: StatisticsOptions) {
    this.#options = options;
  }

  get progress(): ImportProgress {
    return this.#job?.tally.progress ?? NO_IMPORT;
  }

  /** Has `run` begin an import. Returns false while one is under way. */
  start(request: ImportRequest): boolean {
    if (this.#job?.tally.running) return false;
    this.#job = { request, tally: new StatisticsTally() };
    this.#asked.resolve(this.#job);
    return true;
  }

  /** Adds `/import-statistics` to the program's routes. */
  addTo(app: Hono): void {
    // the command of release 0.1.0 wants two more numbers: the next release can do without
    app.get(IMPORT_PATH, (c) => c.json({ ...this.progress, skipped: 0, refused: 0 }));
    app.post(IMPORT_PATH, async (c) => {
      const body = await readBody(c.req.raw, { maxBytes: 10_000, deadlineMs: 10_000 });
      const request = importRequestSchema.safeParse(body.trim() === "" ? {} : jsonIn(body));
      if (!request.success) return failure(422, describeIssues(request.error));
      if (this.start(request.data)) return c.json(this.progress, 202);
      return failure(409, `An import is under way already, see GET ${IMPORT_PATH}`);
    });
  }

  /** Imports whenever it is asked to, until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const stopped = Promise.withResolvers<undefined>();
    signal.addEventListener("abort", () => stopped.resolve(undefined), { once: true });
    while (!signal.aborted) {
      const job = await Promise.race([this.#asked.promise, stopped.promise]);
      if (!job) return;
      this.#asked = Promise.withResolvers();
      await this.#import(job, signal);
    }
  }

  async #import({ request, tally }: Job, signal: AbortSignal): Promise<void> {
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
