/** Points into InfluxDB 1, 2 or 3, over its HTTP API. */
import { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { deadline, describeError } from "../retry.ts";
import { bisect, type SliceOutcome } from "./bisect.ts";
import {
  type Answer,
  blamesPoints,
  countBeyondRetention,
  isSoundWhenEmpty,
  readAnswer,
  wishFor,
} from "./influxdb_answer.ts";
import { toLine } from "./line.ts";
import {
  type Store,
  type StorePoint,
  type StoreStatus,
  StoreUnavailable,
  type Verdict,
} from "./store.ts";

/** Secrets are functions, called again at each request, so that a changed one needs no restart; they may throw. */
export interface InfluxDbOptions {
  /** Where InfluxDB is; a path is kept, user and password in it are not used. */
  readonly url: string;
  readonly version: 1 | 2 | 3;
  readonly token?: () => string | undefined;
  readonly username?: () => string | undefined;
  readonly password?: () => string | undefined;
  readonly org?: string;
  /** Version 2; version 3 takes it for the database where that is not set. */
  readonly bucket?: string;
  /** Versions 1 and 3. */
  readonly database?: string;
  readonly requestDeadlineMs?: number;
}

/** Below some packet's worth of text, gzip saves nothing. */
const GZIP_FROM_CHARS = 1_400;

const compress = promisify(gzip);

/** InfluxDB 1 by way of `/write`; 2, and 3, by way of `/api/v2/write`. */
export class InfluxDb implements Store {
  readonly #options: InfluxDbOptions;
  #problem: string | undefined;

  constructor(options: InfluxDbOptions) {
    this.#options = options;
  }

  /**
   * Of a refused batch the refused points are found by bisection: b of n with at most
   * 1 + 2·b·⌈log₂ n⌉ requests, and one more where the server does not blame a point by
   * itself. A point that has no line is refused without being sent.
   */
  async write(
    points: readonly StorePoint[],
    signal: AbortSignal,
  ): Promise<readonly Verdict[]> {
    const verdicts = points.map((): Verdict => ({ kind: "pending" }));
    const lines: { readonly text: string; readonly index: number }[] = [];
    points.forEach((point, index) => {
      try {
        lines.push({ text: toLine(point), index });
      } catch (error) {
        verdicts[index] = { kind: "refused", reason: describeError(error) };
      }
    });
    let provenSound = false;
    try {
      const written = await bisect(lines, async (slice) => {
        const body = slice.map(({ text }) => text).join("\n");
        const answer = await this.#post(body, signal);
        if (
          answer.meaning === "refused" && !provenSound &&
          !blamesPoints(answer)
        ) {
          // a 400 for a wrong parameter or by a proxy must not condemn every point
          await this.#postNothing(signal);
          provenSound = true;
        }
        return this.#outcomeOf(answer, slice.length);
      });
      written.forEach((verdict, i) => verdicts[lines[i].index] = verdict);
    } catch (error) {
      const nothingKnown = lines.length === points.length;
      if (nothingKnown || !(error instanceof StoreUnavailable)) throw error;
    }
    return verdicts;
  }

  async probe(signal: AbortSignal): Promise<void> {
    try {
      await this.#postNothing(signal);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  status(): StoreStatus {
    const { version, org, bucket, database } = this.#options;
    const place = version === 1
      ? `database ${database}`
      : version === 2
      ? `organization ${org}, bucket ${bucket}`
      : `database ${database ?? bucket}`;
    return {
      description: `InfluxDB ${version} at ${this.#address()}, ${place}`,
      problem: this.#problem,
    };
  }

  close(): void {}

  #outcomeOf(answer: Answer, points: number): SliceOutcome {
    const { meaning, reason, status } = answer;
    if (meaning === "misconfigured" || meaning === "again") {
      throw this.#unavailable(answer);
    }
    this.#problem = undefined;
    if (meaning === "done") return { kind: "stored" };
    if (countBeyondRetention(answer) === points) return { kind: "skipped", reason: "retention" };
    return { kind: "mixed", reason: `InfluxDB answered ${status}${reason && `: ${reason}`}` };
  }

  /** Proves address, credentials and database, and stores nothing. Throws StoreUnavailable. */
  async #postNothing(signal: AbortSignal): Promise<void> {
    const answer = await this.#post("", signal);
    if (!isSoundWhenEmpty(answer)) throw this.#unavailable(answer);
    this.#problem = undefined;
  }

  async #post(body: string, signal: AbortSignal): Promise<Answer> {
    const { requestDeadlineMs = 10_000 } = this.#options;
    const headers = this.#headers();
    const zipped = body.length >= GZIP_FROM_CHARS;
    if (zipped) headers.set("content-encoding", "gzip");
    try {
      const response = await fetch(this.#endpoint(), {
        method: "POST",
        headers,
        body: zipped ? new Uint8Array(await compress(body)) : body,
        redirect: "error",
        signal: deadline(requestDeadlineMs, signal),
      });
      return await readAnswer(response);
    } catch (error) {
      // that the caller's time is up says nothing about InfluxDB
      if (signal.aborted) {
        throw new StoreUnavailable("InfluxDB was not reached in time");
      }
      const state = error instanceof Error && error.name === "TimeoutError"
        ? `no answer within ${requestDeadlineMs / 1000} s`
        : describeError(error);
      throw this.#fail(
        `Cannot reach InfluxDB at ${this.#address()}: ${state}; check that it runs, and INFLUXDB_URL`,
      );
    }
  }

  #headers(): Headers {
    const { version } = this.#options;
    const headers = new Headers({ "content-type": "text/plain; charset=utf-8" });
    const [token, username, password] = this.#secrets();
    if (version === 1 && username) {
      const credentials = Buffer.from(`${username}:${password ?? ""}`);
      headers.set("authorization", `Basic ${credentials.toString("base64")}`);
    } else if (version !== 1 && token) {
      // the error that Headers throws would show the token
      if (!/^[\x21-\x7e]+$/.test(token)) {
        throw this.#fail(
          "Cannot write to InfluxDB: INFLUXDB_TOKEN holds a space, a line break or a character that no token has",
        );
      }
      headers.set("authorization", `Token ${token}`);
    }
    return headers;
  }

  #secrets(): readonly (string | undefined)[] {
    const { token, username, password } = this.#options;
    try {
      return [token?.(), username?.(), password?.()];
    } catch (error) {
      throw this.#fail(describeError(error));
    }
  }

  /** The URL without user, password and query, for people and as the base of requests. */
  #address(): string {
    const { protocol, host, pathname } = new URL(this.#options.url);
    return `${protocol}//${host}${pathname.replace(/\/+$/, "")}`;
  }

  #endpoint(): string {
    const { version, org, bucket, database } = this.#options;
    const place = version === 1
      ? { db: database }
      : version === 2
      ? { org, bucket }
      : { org, bucket: database ?? bucket };
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...place, precision: "ns" })) {
      if (value !== undefined) query.set(name, value);
    }
    const path = version === 1 ? "/write" : "/api/v2/write";
    return `${this.#address()}${path}?${query}`;
  }

  #unavailable(answer: Answer): StoreUnavailable {
    const { status, reason, retryAfterMs } = answer;
    const wish = wishFor(answer, this.#options.version);
    return this.#fail(
      `Cannot write to InfluxDB: it answered ${status}${reason && ` (${reason})`}${wish}`,
      retryAfterMs,
    );
  }

  #fail(problem: string, retryAfterMs?: number): StoreUnavailable {
    this.#problem = problem;
    return new StoreUnavailable(problem, retryAfterMs);
  }
}
