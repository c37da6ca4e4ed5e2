/** The store at INFLUXDB_URL: InfluxDB, or VictoriaMetrics where the answers' headers say so. */
import type { RetentionPeriod } from "../../settings/retention_period.ts";
import { InfluxDb, type InfluxDbOptions } from "../influxdb/influxdb.ts";
import { InfluxDbFault } from "../influxdb/influxdb_answer.ts";
import { toLine } from "../influxdb/line.ts";
import {
  type PointOutcome,
  type Store,
  type StorePoint,
  type StoreStatus,
  StoreUnavailable,
} from "../store.ts";
import { metricLine } from "./metric_line.ts";
import { VictoriaMetrics } from "./victoria_metrics.ts";

export interface ServerStoreOptions extends InfluxDbOptions {
  /** What VictoriaMetrics keeps, where that cannot be read of it. */
  readonly victoriaMetricsRetention?: RetentionPeriod | undefined;
}

/** So long after an answer the server is taken for what it was: to exchange it takes longer. */
const KNOWN_MS = 5_000;

/**
 * Whether these headers of an answer to a write are VictoriaMetrics' (tried with 1.151.0): all its
 * programs name their host, unless -http.header.disableServerHostname is set; the server itself always
 * says that it is InfluxDB 1.8.0, which vmauth lets through, and vmagent does not say. Where vmauth stands
 * before another database, that has a header of its own, as a real 1.8.0 has.
 */
export function isVictoriaMetrics(headers: Headers): boolean {
  const isSaid = headers.has("x-server-hostname") || headers.get("x-influxdb-version") === "1.8.0";
  return isSaid && !headers.has("x-influxdb-build") &&
    !/questdb/i.test(headers.get("server") ?? "");
}

export class ServerStore implements Store {
  readonly #options: ServerStoreOptions;
  readonly #influxDb: InfluxDb;
  /** Set while the server is one. */
  #victoria: VictoriaMetrics | undefined;

  constructor(options: ServerStoreOptions) {
    const { line = toLine } = options;
    this.#options = options;
    this.#influxDb = new InfluxDb({
      ...options,
      serverName: () => {
        // before it is asked what an InfluxDB alone can answer
        this.#recognise();
        return this.#victoria && "VictoriaMetrics";
      },
      line: (point, version) => this.#victoria ? metricLine(point) : line(point, version),
    });
  }

  /**
   * Asks with a write of nothing first where the server may be another than before. Of InfluxDB see
   * InfluxDb. To VictoriaMetrics only the numbers of a point go, and only of points that it will not
   * throw away. Throws StoreUnavailable where the server turns out to be another one meanwhile.
   */
  async write(
    points: readonly StorePoint[],
    signal: AbortSignal,
  ): Promise<readonly PointOutcome[]> {
    if (points.length === 0) return [];
    const { answered } = this.#influxDb;
    if (!answered || performance.now() - answered.monotonicMs > KNOWN_MS) await this.#ask(signal);
    const victoria = this.#victoria;
    const outcomes = await (victoria ?? this.#influxDb).write(points, signal);
    this.#recognise();
    if (this.#victoria === victoria) return outcomes;
    throw new StoreUnavailable("Another kind of server answers at INFLUXDB_URL now");
  }

  async probe(signal: AbortSignal): Promise<void> {
    try {
      await this.check(signal);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /** As `probe`, but throws StoreUnavailable, an InfluxDbFault where the server is at fault. */
  async check(signal: AbortSignal): Promise<void> {
    if (!this.#influxDb.answered) this.#victoria?.noteFailure();
    await this.#influxDb.check(signal);
    this.#recognise();
    await this.#victoria?.look(signal);
  }

  /** Makes the database of 1.x, or the bucket of 2.x; false where there is one already. Throws StoreUnavailable with what to do. */
  create(signal: AbortSignal): Promise<boolean> {
    return this.#influxDb.create(signal);
  }

  /** What answers there, where it is an InfluxDB, for people. */
  get server(): string {
    return this.#influxDb.server;
  }

  /** Whether the last answer to a write was VictoriaMetrics'. */
  get isVictoriaMetrics(): boolean {
    return this.#victoria !== undefined;
  }

  status(): StoreStatus {
    const status = this.#influxDb.status();
    if (!this.#victoria) return status;
    const { version, database } = this.#options;
    const { dbLabel, retention } = this.#victoria;
    const parts = [
      `VictoriaMetrics at ${this.#influxDb.http.address}`,
      ...(version === 1 && database ? [`${dbLabel}=${database}`] : []),
      ...(retention === undefined ? [] : [`retention ${retention}`]),
    ];
    return {
      ...status,
      description: parts.join(", "),
      limits: [...status.limits ?? [], ...this.#victoria.limits()],
      notes: this.#victoria.notes(),
    };
  }

  /** Names no limit until it is met again: with other filters nothing may be in its way. */
  forgetLimits(): void {
    this.#victoria?.forgetLimits();
    this.#influxDb.forgetLimits();
  }

  close(): void {
    this.#influxDb.close();
  }

  /** Asks what it is. One that refuses a write of nothing may take others, and is no VictoriaMetrics. */
  async #ask(signal: AbortSignal): Promise<void> {
    try {
      await this.check(signal);
    } catch (error) {
      if (!(error instanceof InfluxDbFault) || error.answer?.meaning !== "refused") throw error;
    }
  }

  /** By the last answer to a write. One without an answer tells nothing. */
  #recognise(): void {
    const { answered } = this.#influxDb;
    if (!answered) return;
    if (answered.isOwnOf3 || !isVictoriaMetrics(answered.headers)) this.#victoria = undefined;
    else {
      const { version, victoriaMetricsRetention: retention } = this.#options;
      const hasDatabase = version === 1;
      this.#victoria ??= new VictoriaMetrics({ influxDb: this.#influxDb, hasDatabase, retention });
    }
  }
}
