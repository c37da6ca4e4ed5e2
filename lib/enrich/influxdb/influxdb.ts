/** Points into InfluxDB 1, 2 or 3, over its HTTP API. */
import { describeError } from "../../retry.ts";
import { bisect, type SliceOutcome } from "./bisect.ts";
import { createPlace, type InfluxDbPlace, lookUpRetention } from "./influxdb_admin.ts";
import {
  type Answer,
  blamesPoints,
  countBeyondRetention,
  InfluxDbFault,
  isSoundWhenEmpty,
  readAnswer,
  wishFor,
} from "./influxdb_answer.ts";
import { InfluxDbHttp } from "./influxdb_http.ts";
import { toLine } from "./line.ts";
import { Retention } from "./retention.ts";
import {
  type PointOutcome,
  type Store,
  type StorePoint,
  type StoreStatus,
  StoreUnavailable,
} from "../store.ts";

export interface InfluxDbOptions extends InfluxDbPlace {
  /** How a point becomes a line; `toLine` unless given. Its error refuses the point. */
  readonly line?: (point: StorePoint, version: 1 | 2 | 3) => string;
}

const SKIPPED = { kind: "skipped", reason: "retention" } as const;

/** InfluxDB 1 by way of `/write`; 2, and 3, by way of `/api/v2/write`. One place for good. */
export class InfluxDb implements Store {
  readonly #options: InfluxDbOptions;
  readonly #http: InfluxDbHttp;
  readonly #retention: Retention;
  #problem: string | undefined;
  #restUntilMs = -Infinity;

  constructor(options: InfluxDbOptions) {
    this.#options = options;
    this.#http = new InfluxDbHttp(options);
    this.#retention = new Retention((signal) => lookUpRetention(this.#http, options, signal));
  }

  /**
   * Of a refused batch the refused points are found by bisection: b of n with at most
   * 1 + 2·b·⌈log₂ n⌉ requests, and one more where the server does not blame a point by
   * itself. A point that has no line is refused, and one that is known to be older than the
   * retention skipped, without being sent.
   */
  async write(
    points: readonly StorePoint[],
    signal: AbortSignal,
  ): Promise<readonly PointOutcome[]> {
    const { line = toLine, version } = this.#options;
    const outcomes = points.map((): PointOutcome => ({ kind: "pending" }));
    const lines: { readonly text: string; readonly index: number; readonly timeNs: bigint }[] = [];
    points.forEach((point, index) => {
      try {
        lines.push({ text: line(point, version), index, timeNs: point.timeNs });
      } catch (error) {
        outcomes[index] = { kind: "refused", reason: describeError(error) };
      }
    });
    let provenSound = false;
    try {
      const written = await bisect(
        lines,
        async (slice) => {
          const answer = await this.#post(slice.map(({ text }) => text).join("\n"), signal);
          if (answer.meaning === "refused") {
            if (!provenSound && !blamesPoints(answer)) {
              // a 400 for a wrong parameter or by a proxy must not condemn every point
              await this.#postNothing(signal);
              provenSound = true;
            }
            await this.#retention.refresh(signal, countBeyondRetention(answer) > 0);
          }
          return this.#outcomeOf(answer, slice.length);
        },
        ({ timeNs }) => this.#retention.isBeyond(timeNs, this.#http.nowMs()) ? SKIPPED : undefined,
      );
      written.forEach((outcome, i) => outcomes[lines[i].index] = outcome);
    } catch (error) {
      const nothingKnown = lines.length === points.length;
      if (nothingKnown || !(error instanceof StoreUnavailable)) throw error;
    }
    return outcomes;
  }

  /** Learns the retention, too, where it is time to. */
  async probe(signal: AbortSignal): Promise<void> {
    try {
      await this.check(signal);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /** As `probe`, but throws StoreUnavailable, an InfluxDbFault where InfluxDB is at fault. */
  async check(signal: AbortSignal): Promise<void> {
    await this.#postNothing(signal);
    await this.#retention.refresh(signal);
  }

  /** Makes the database of 1.x, or the bucket of 2.x. Throws StoreUnavailable with what to do. */
  create(signal: AbortSignal): Promise<void> {
    return createPlace(this.#http, this.#options, signal);
  }

  status(): StoreStatus {
    const { version, org, bucket, database } = this.#options;
    const place = version === 1
      ? `database ${database}`
      : version === 2
      ? `organization ${org}, bucket ${bucket}`
      : `database ${database ?? bucket}`;
    return {
      description: `InfluxDB ${version} at ${this.#http.address}, ${place}`,
      problem: this.#problem,
    };
  }

  /** A write that is under way ends here: what it has not reached is pending. */
  close(): void {
    this.#http.close();
  }

  #outcomeOf(answer: Answer, points: number): SliceOutcome {
    const { meaning, reason, status } = answer;
    if (meaning === "misconfigured" || meaning === "again") throw this.#fault(answer);
    this.#problem = undefined;
    if (meaning === "done") return { kind: "stored" };
    if (countBeyondRetention(answer) === points) return SKIPPED;
    return { kind: "mixed", reason: `InfluxDB answered ${status}${reason && `: ${reason}`}` };
  }

  /** Proves address, credentials and database, and stores nothing. Throws StoreUnavailable. */
  async #postNothing(signal: AbortSignal): Promise<void> {
    const answer = await this.#post("", signal);
    if (!isSoundWhenEmpty(answer)) throw this.#fault(answer);
    this.#problem = undefined;
  }

  async #post(body: string, signal: AbortSignal): Promise<Answer> {
    const restMs = this.#restUntilMs - performance.now();
    if (restMs > 0) {
      const seconds = Math.ceil(restMs / 1_000);
      throw new StoreUnavailable(`InfluxDB asked to be left alone, ${seconds} s more`, restMs);
    }
    const { version, org, bucket, database } = this.#options;
    const place = version === 1
      ? { db: database }
      : { org, bucket: version === 2 ? bucket : database ?? bucket };
    try {
      return await readAnswer(
        await this.#http.ask({
          method: "POST",
          path: version === 1 ? "/write" : "/api/v2/write",
          query: { ...place, precision: "ns" },
          contentType: "text/plain; charset=utf-8",
          body,
        }, signal),
      );
    } catch (error) {
      if (error instanceof InfluxDbFault) this.#problem = error.message;
      throw error;
    }
  }

  #fault(answer: Answer): InfluxDbFault {
    const { status, reason, retryAfterMs = 0 } = answer;
    const wish = wishFor(answer, this.#options.version);
    const fault = this.#http.fault(
      `Cannot write to InfluxDB: it answered ${status}${reason && ` (${reason})`}${wish}`,
      answer,
    );
    this.#problem = fault.message;
    if (answer.meaning === "again") {
      this.#restUntilMs = performance.now() + retryAfterMs;
    }
    return fault;
  }
}
