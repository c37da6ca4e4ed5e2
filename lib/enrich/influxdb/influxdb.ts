/** Points into InfluxDB 1, 2 or 3, over its HTTP API. */
import { describeError } from "../../retry.ts";
import { BatchJudge, type Line, SKIPPED } from "./batch_judge.ts";
import { bisect } from "./bisect.ts";
import { createPlace, type InfluxDbPlace, lookUpRetention } from "./influxdb_admin.ts";
import { wishFor } from "./answer_wish.ts";
import {
  type Answer,
  blamesPoints,
  InfluxDbFault,
  isSoundWhenEmpty,
  mayBlamePoint,
} from "./influxdb_answer.ts";
import { InfluxDbHttp } from "./influxdb_http.ts";
import { LimitMemory, shapeOf } from "./limit_memory.ts";
import { toLine } from "./line.ts";
import { isQuestDb, QUESTDB_NOTE } from "./quest_db.ts";
import { countBeyondRetention, Retention, retentionIn } from "./retention.ts";
import { limitIn } from "./server_limit.ts";
import { WriteEndpoint } from "./write_endpoint.ts";
import {
  type PointOutcome,
  type StorePoint,
  type StoreStatus,
  StoreUnavailable,
} from "../store.ts";

export interface InfluxDbOptions extends InfluxDbPlace {
  /** How a point becomes a line; `toLine` unless given. Its error refuses the point. */
  readonly line?: (point: StorePoint, version: 1 | 2 | 3) => string;
}

/** One place of InfluxDB 1, 2 or 3, for good. */
export class InfluxDb {
  readonly #options: InfluxDbOptions;
  /** For questions besides; its clock is the server's. */
  readonly http: InfluxDbHttp;
  readonly #endpoint: WriteEndpoint;
  readonly #retention: Retention;
  #limits = new LimitMemory();
  /** What a write has met. A write of nothing does not clear it: that may pass while no other does. */
  #writeProblem: string | undefined;
  #emptyProblem: string | undefined = "The database has not answered yet; wait a moment";
  #restUntilMs = -Infinity;
  /** Whether it said so of itself the last time. */
  #isVersion2 = false;
  /** The last 204, which tells what the server is; undefined once it has failed since. */
  answered: { headers: Headers; isOwnOf3: boolean; monotonicMs: number } | undefined;

  constructor(options: InfluxDbOptions) {
    this.#options = options;
    this.http = new InfluxDbHttp(options);
    this.#endpoint = new WriteEndpoint(this.http, options);
    this.#retention = new Retention(async (signal) =>
      this.#isOther ? undefined : await lookUpRetention(this.http, options, signal)
    );
  }

  /**
   * Of a refused batch the refused points are found by bisection: b of n with at most
   * 1 + 2·b·⌈log₂ n⌉ requests, and one more where the server does not blame a point by
   * itself. A point that has no line is refused, and one that is known to be older than the
   * retention skipped, without being sent. A point that gets a 5xx alone is pending. When the
   * search ends before all is found: see BatchJudge.
   */
  async write(
    points: readonly StorePoint[],
    signal: AbortSignal,
  ): Promise<readonly PointOutcome[]> {
    const { line = toLine, version } = this.#options;
    const outcomes = points.map((): PointOutcome => ({ kind: "pending" }));
    const lines: Line[] = [];
    points.forEach((point, index) => {
      try {
        const { timeNs } = point;
        lines.push({ text: line(point, version), index, timeNs, shape: shapeOf(point) });
      } catch (error) {
        outcomes[index] = { kind: "refused", reason: describeError(error) };
      }
    });
    try {
      const written = await this.#writeLines(lines, signal);
      written.forEach((outcome, i) => outcomes[lines[i].index] = outcome);
    } catch (error) {
      const nothingKnown = lines.length === points.length;
      if (nothingKnown || !(error instanceof StoreUnavailable)) throw error;
    }
    return outcomes;
  }

  async #writeLines(
    lines: readonly Line[],
    signal: AbortSignal,
  ): Promise<readonly PointOutcome[]> {
    const judge = new BatchJudge(this.#limits);
    let provenSound = false;
    let failure: Answer | undefined;
    let oldNs = this.#oldNs();
    const isOld = ({ timeNs }: Line) => oldNs !== undefined && timeNs < oldNs;
    const ask = async (slice: readonly Line[]) => {
      const answer = await this.#post(slice.map(({ text }) => text).join("\n"), signal);
      oldNs = this.#oldNs();
      const { meaning } = answer;
      const isLimit = limitIn(answer) !== undefined;
      if (!isLimit) {
        if (meaning === "misconfigured") throw this.#fault(answer, true);
        if (meaning === "again") {
          if (!mayBlamePoint(answer)) throw this.#fault(answer, true);
          failure = answer;
        }
        const isClear = meaning === "done" || meaning !== "again" && blamesPoints(answer);
        if (!isClear && !provenSound) {
          // a 400 for a wrong parameter or by a proxy must not condemn every point
          await this.#postNothing(signal);
          provenSound = true;
        }
      }
      if (isLimit || meaning !== "again") this.#writeProblem = this.#emptyProblem = undefined;
      if (meaning === "refused") {
        const toldMs = retentionIn(answer);
        this.#retention.learn(toldMs);
        if (toldMs === undefined && !isLimit) {
          await this.#retention.refresh(signal, countBeyondRetention(answer) > 0);
        }
        oldNs = this.#oldNs();
        // what is known to be too old by now is not sent again
        if (slice.some(isOld)) return { kind: "mixed", alone: SKIPPED, apart: isOld } as const;
      }
      return judge.judge(answer, slice);
    };
    const known = (line: Line) => isOld(line) ? SKIPPED : judge.known(line);
    const outcomes = await bisect(lines, ask, known);
    if (failure && outcomes.every(({ kind }) => kind === "pending")) {
      throw this.#fault(failure, true);
    }
    return judge.finish(lines, outcomes);
  }

  /**
   * Asks whether it would take points now, without storing any, and learns the retention where it is time
   * to. Throws StoreUnavailable, an InfluxDbFault where InfluxDB is at fault.
   */
  async check(signal: AbortSignal): Promise<void> {
    await this.#postNothing(signal);
    await this.#retention.refresh(signal);
  }

  /** Makes the database of 1.x, or the bucket of 2.x; false where there is one already. Throws StoreUnavailable with what to do. */
  create(signal: AbortSignal): Promise<boolean> {
    return createPlace(this.http, this.#options, signal);
  }

  /** What answers there, for people. */
  get server(): string {
    const { version } = this.#options;
    return version === 1 && this.#isVersion2 ? "InfluxDB 2 (1.x API)" : `InfluxDB ${version}`;
  }

  status(): StoreStatus {
    const { version, org, bucket, database } = this.#options;
    const place = version === 1
      ? `database ${database}`
      : version === 2
      ? `organization ${org}, bucket ${bucket}`
      : `database ${database ?? bucket}`;
    const { address } = this.http;
    const isOther = isQuestDb(this.#endpoint.headers);
    return {
      description: isOther ? `QuestDB at ${address}` : `${this.server} at ${address}, ${place}`,
      problem: this.#emptyProblem ?? this.#writeProblem,
      limits: this.#limits.limits(),
      ...(isOther && { notes: [QUESTDB_NOTE] }),
    };
  }

  /** Names no limit until it is met again: with other filters nothing may be in its way. */
  forgetLimits(): void {
    // another one, so that a write that is under way does not name them again
    this.#limits = new LimitMemory();
  }

  /** A write that is under way ends here: what it has not reached is pending. */
  close(): void {
    this.http.close();
  }

  /** Whether it is known to be no InfluxDB, which has no retention policies either. */
  get #isOther(): boolean {
    return this.#options.serverName?.() !== undefined;
  }

  /** What is from before that, in nanoseconds since 1970, is known to be too old; undefined where nothing is. */
  #oldNs(): bigint | undefined {
    // what an InfluxDB kept that was there before says nothing of another server
    return this.#isOther ? undefined : this.#retention.beyondNs(this.http.nowMs());
  }

  /** Proves address, credentials and database, and stores nothing. Throws StoreUnavailable. */
  async #postNothing(signal: AbortSignal): Promise<void> {
    const answer = await this.#post("", signal);
    if (!isSoundWhenEmpty(answer)) throw this.#fault(answer, false);
    this.#emptyProblem = undefined;
  }

  async #post(body: string, signal: AbortSignal): Promise<Answer> {
    const restMs = this.#restUntilMs - performance.now();
    if (restMs > 0) {
      const said = `InfluxDB asked to be left alone, ${Math.ceil(restMs / 1_000)} s more`;
      throw new StoreUnavailable(this.http.named(said), restMs);
    }
    try {
      const answer = await this.#endpoint.post(body, signal);
      const { headers, isOwnOf3 } = this.#endpoint;
      this.#isVersion2 = answer.isVersion2;
      const monotonicMs = performance.now();
      if (answer.meaning === "done") this.answered = { headers, isOwnOf3, monotonicMs };
      else if (answer.meaning === "again" || answer.meaning === "misconfigured") {
        this.answered = undefined;
      }
      return answer;
    } catch (error) {
      this.answered = undefined;
      if (error instanceof InfluxDbFault) this.#note(error, body !== "");
      throw error;
    }
  }

  /** `byWrite`: whether a write has met it, or a write of nothing. */
  #fault(answer: Answer, byWrite: boolean): InfluxDbFault {
    const { status, reason, retryAfterMs = 0 } = answer;
    const limit = limitIn(answer)?.limit;
    const wish = limit ? `; ${limit.wish}` : wishFor(answer, this.#options.version);
    const fault = this.http.fault(
      `Cannot write to InfluxDB: it answered ${status}${reason && ` (${reason})`}${wish}`,
      answer,
    );
    this.#note(fault, byWrite);
    if (answer.meaning === "again") {
      this.#restUntilMs = performance.now() + retryAfterMs;
    }
    return fault;
  }

  /** Only a 429 and a 5xx say nothing of what a write of nothing would meet; a login page meets it. */
  #note({ message, answer }: InfluxDbFault, byWrite: boolean): void {
    const isOfWrites = byWrite && (answer?.status ?? 0) >= 429;
    this.#emptyProblem = isOfWrites ? undefined : message;
    if (isOfWrites) this.#writeProblem = message;
  }
}
