/** `enrich export`: sends every point of the local store to the InfluxDB that is set. */
import {
  argumentsOf,
  type CommandOutput,
  complainOf,
  durationText,
  numberText,
  ProgressLine,
  WrongUse,
} from "../../program/command.ts";
import { enrichSettings } from "../../settings/enrich_settings.ts";
import { backoffMs, sleep } from "../../retry.ts";
import type { Environment } from "../../settings/settings_reader.ts";
import { InfluxDbFault } from "../influxdb/influxdb_answer.ts";
import { hasLocalStore, influxDbOptions, localStorePath, openLocalStore } from "../open_store.ts";
import { ServerStore } from "../victoriametrics/server_store.ts";
import { type PointOutcome, type StorePoint, StoreUnavailable } from "../store.ts";

const HELP =
  `enrich export: sends every point of the local store to InfluxDB or VictoriaMetrics. What is
there already is written again, which changes nothing: where it ended early, run it again.

Usage: enrich export

It finds the local store in DATA_DIR, which no enrich may hold meanwhile, and the database by
INFLUXDB_URL and its like. Where the database is away it waits, and tries again. Exit status: 0 all
is stored, or left out because it is older than the database keeps or has no number for
VictoriaMetrics; 1 not all of it; 2 it was asked or configured wrong.`;

const MAX_BATCH_POINTS = 1_000;
/** Characters of a batch's texts and names. */
const MAX_BATCH_CHARS = 4_000_000;
const BACKOFF = { baseMs: 1_000, maxMs: 30_000 };
/** How often an answer that a person must fix is asked for again. */
const MISCONFIGURED_ATTEMPTS = 3;
const SHOWN_REASONS = 5;
const LEFT_OUT = {
  retention: "older than is kept there",
  no_number: "without a number, and VictoriaMetrics keeps no texts",
} as const;

const never = new AbortController().signal;

/** Runs the command. Returns its exit status. `backoff` is that of an InfluxDB that is away. */
export async function exportStore(
  args: readonly string[],
  readEnvironment: () => Environment,
  output: CommandOutput,
  backoff = BACKOFF,
): Promise<number> {
  try {
    const known = { help: { type: "boolean", short: "h" } } as const;
    const { help } = argumentsOf({ args: [...args], options: known }).values;
    if (help) return output.write(`${HELP}\n`), 0;
    const { settings } = enrichSettings(readEnvironment());
    const options = influxDbOptions(settings);
    if (settings.schema === "homeassistant") {
      throw new WrongUse(
        "SCHEMA is homeassistant, but the local store holds points of SCHEMA=tidy: export them " +
          "with that, to a database or bucket of their own",
      );
    }
    if (!options) {
      throw new WrongUse("INFLUXDB_URL is not set: it must name where the points are to go");
    }
    if (!hasLocalStore(settings)) {
      throw new WrongUse(`There is no local store ${localStorePath(settings)}: check DATA_DIR`);
    }
    const local = openLocalStore(settings);
    const influxDb = new ServerStore(options);
    try {
      const total = local.counts().points;
      return await new Export({ influxDb, total, output, backoff }).run(local.read());
    } finally {
      influxDb.close();
      local.close();
    }
  } catch (error) {
    return complainOf(error, output);
  }
}

interface ExportOptions {
  readonly influxDb: ServerStore;
  /** How many points there are. */
  readonly total: number;
  readonly output: CommandOutput;
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
}

class Export {
  readonly #options: ExportOptions;
  readonly #line: ProgressLine;
  readonly #startMs = performance.now();
  readonly #counts = { stored: 0, skipped: 0, refused: 0 };
  readonly #leftOut = { retention: 0, no_number: 0 };
  readonly #reasons: string[] = [];
  /** Points that go into one request: fewer after each failure, for a slow store that only small ones reach. */
  #limit = MAX_BATCH_POINTS;

  constructor(options: ExportOptions) {
    this.#options = options;
    this.#line = new ProgressLine(options.output);
  }

  /** Returns the exit status. Throws InfluxDbFault with what a person must fix. */
  async run(points: Iterable<StorePoint>): Promise<number> {
    const { influxDb, output: { complain } } = this.#options;
    try {
      // what is beyond the retention is then known beforehand
      await this.#patiently(() => influxDb.check(never));
      for (const batch of batchesOf(points)) await this.#send(batch);
    } finally {
      this.#end();
    }
    const { refused } = this.#counts;
    if (refused === 0) return 0;
    complain(`${numberText(refused)} points cannot be stored, the first of them:`);
    this.#reasons.forEach(complain);
    return 1;
  }

  async #send(batch: readonly StorePoint[]): Promise<void> {
    const { influxDb } = this.#options;
    for (let rest = batch; rest.length > 0;) {
      const outcomes = await this.#patiently(() =>
        influxDb.write(rest.slice(0, this.#limit), never)
      );
      this.#limit = Math.min(MAX_BATCH_POINTS, this.#limit * 2);
      rest = rest.filter((point, i) => !this.#settle(point, outcomes[i]));
      this.#show();
    }
  }

  /** Whether there is an outcome on the point. */
  #settle(point: StorePoint, outcome: PointOutcome | undefined): boolean {
    if (!outcome || outcome.kind === "pending") return false;
    // what a limit is in the way of is sent again by the next run
    const kind = outcome.kind === "limited" ? "refused" : outcome.kind;
    this.#counts[kind]++;
    if (outcome.kind === "skipped") this.#leftOut[outcome.reason]++;
    if (outcome.kind !== "stored" && kind === "refused" && this.#reasons.length < SHOWN_REASONS) {
      const { measurement, tags, timeNs } = point;
      const time = new Date(Number(timeNs / 1_000_000n)).toISOString();
      const entityId = tags.get("entity_id");
      this.#reasons.push(
        `${measurement}${entityId ? ` of ${entityId}` : ""} at ${time}: ${outcome.reason}`,
      );
    }
    return true;
  }

  /** Tries until InfluxDB takes it. Throws InfluxDbFault where it has said several times that a person must fix something. */
  async #patiently<T>(attempt: () => Promise<T>): Promise<T> {
    let misconfigured = 0;
    for (let failures = 0;; failures++) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        const { answer } = error instanceof InfluxDbFault ? error : {};
        misconfigured = answer && answer.meaning !== "again" ? misconfigured + 1 : 0;
        if (misconfigured === MISCONFIGURED_ATTEMPTS) throw error;
        this.#limit = Math.max(1, Math.floor(this.#limit / 2));
        this.#show(error.message);
        const pauseMs = backoffMs(failures, this.#options.backoff);
        await sleep(Math.max(pauseMs, error.retryAfterMs ?? 0), never);
      }
    }
  }

  get #done(): number {
    const { stored, skipped, refused } = this.#counts;
    return stored + skipped + refused;
  }

  #show(reason?: string): void {
    const { total } = this.#options;
    const seconds = (performance.now() - this.#startMs) / 1_000;
    const rate = this.#done / Math.max(seconds, 0.001);
    const left = this.#done > 0
      ? [`${durationText(Math.ceil((total - this.#done) / rate))} left`]
      : [];
    const text = [
      `${numberText(this.#done)} of ${numberText(total)} points`,
      `${numberText(Math.round(rate))}/s`,
      ...(reason === undefined ? left : [reason]),
    ].join(" · ");
    this.#line.show(this.#done / Math.max(1, total), text);
  }

  #end(): void {
    const { stored } = this.#counts;
    const seconds = Math.round((performance.now() - this.#startMs) / 1_000);
    const left = (["retention", "no_number"] as const)
      .filter((reason) => this.#leftOut[reason] > 0)
      .map((reason) => `, ${numberText(this.#leftOut[reason])} left out (${LEFT_OUT[reason]})`)
      .join("");
    this.#line.end(
      `Exported ${numberText(stored)} of ${numberText(this.#options.total)} points in ` +
        `${durationText(seconds)}${left}`,
    );
  }
}

/** Batches that are bounded in points and in size, so that memory is. */
function* batchesOf(points: Iterable<StorePoint>): Generator<readonly StorePoint[]> {
  let batch: StorePoint[] = [];
  let chars = 0;
  for (const point of points) {
    batch.push(point);
    for (const part of [...point.tags, ...point.fields].flat()) chars += String(part).length;
    if (batch.length < MAX_BATCH_POINTS && chars < MAX_BATCH_CHARS) continue;
    yield batch;
    batch = [];
    chars = 0;
  }
  if (batch.length > 0) yield batch;
}
