/**
 * An InfluxDB on a real socket that answers word for word as 1.6.7 and 2.7.12 do (1.13.2 with a
 * write window), keeps the points for reading back, and fails on command. What it says to anything but a write is in
 * fake_influxdb_admin.ts.
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { answerQuestion, isQuestion, ORG_ID } from "./fake_influxdb_admin.ts";
import { FakeStore, type ReceivedPoint, type WriteWindow } from "./fake_influxdb_store.ts";

export type { ReceivedPoint } from "./fake_influxdb_store.ts";

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** As text, inflated. */
  readonly body: string;
  /** Bytes on the wire. */
  readonly size: number;
}

export interface ScriptedAnswer {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body begins, and never ends. */
  readonly unfinished?: boolean;
}

/**
 * What goes wrong: `hang` never answers, `reset` cuts the connection before anything is stored,
 * `lose reply` after it, `login page` is a proxy's 200.
 */
export type Trouble = "hang" | "reset" | "lose reply" | "login page" | ScriptedAnswer;

export interface FakeInfluxDbOptions {
  readonly version: 1 | 2;
  /** Version 2. */
  readonly token?: string;
  readonly org?: string;
  readonly bucket?: string;
  /** Version 1; without a username everybody may write. */
  readonly username?: string;
  readonly password?: string;
  readonly database?: string;
  /** Above it 413; 25 MB in version 1, none in version 2 (where a proxy may have one). */
  readonly maxBodyBytes?: number;
  readonly retentionMs?: number;
  /** Version 1, which then has the words of 1.13.2. */
  readonly window?: WriteWindow;
}

const CODES: Readonly<Record<number, string>> = {
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  404: "not found",
  422: "unprocessable entity",
  500: "internal error",
};

export class FakeInfluxDb implements AsyncDisposable {
  /** The writes, and whatever else was not understood. */
  readonly requests: ReceivedRequest[] = [];
  /** What was asked besides: how long points are kept, to make a database. */
  readonly questions: ReceivedRequest[] = [];
  /** The databases, or buckets, that there are. */
  readonly places: Set<string>;
  /** What goes wrong with one of `requests`, the index counting from 0; nothing does until it is set. */
  trouble: (request: ReceivedRequest, index: number) => Trouble | undefined = () => undefined;
  /** The same for one of `questions`. */
  questionTrouble: (request: ReceivedRequest, index: number) => Trouble | undefined = () =>
    undefined;
  /** How far the server's clock is ahead of the true one. */
  clockAheadMs = 0;
  /** Whether its answers tell the time, as a proxy may keep from them. */
  tellsTime = true;
  /** Every answer comes this late. */
  delayMs = 0;
  /** Whether whoever asks is known, but not allowed to write: 403. */
  forbids = false;
  /** Whether the token of version 2 was deactivated. */
  inactive = false;
  /** Whether whoever asks may write, but neither see nor make a database or bucket. */
  hides = false;
  /** Points of which every one meets a type conflict, besides the real ones. */
  refuses: (point: ReceivedPoint) => boolean = () => false;
  #options: FakeInfluxDbOptions;
  readonly #store: FakeStore;
  #server: Server | undefined;
  #port = 0;
  #stopped = new AbortController();
  #arrived = Promise.withResolvers<void>();

  private constructor(options: FakeInfluxDbOptions) {
    this.#options = { org: "home", bucket: "home", database: "home", token: "token", ...options };
    this.#store = new FakeStore(options);
    const { version, database, bucket } = this.#options;
    this.places = new Set([String(version === 1 ? database : bucket)]);
  }

  set retentionMs(ms: number | undefined) {
    this.#options = { ...this.#options, retentionMs: ms };
    this.#store.retentionMs = ms ?? Infinity;
  }

  static async start(options: FakeInfluxDbOptions): Promise<FakeInfluxDb> {
    const fake = new FakeInfluxDb(options);
    await fake.restart();
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Version 1: how many series its database may have. */
  set maxSeries(count: number) {
    this.#store.maxSeries = count;
  }

  /** Version 1: as if somebody had dropped every series. */
  forgetSeries(): void {
    this.#store.series.clear();
  }

  /** All points, each with the union of the fields that it was ever given. */
  get points(): readonly ReceivedPoint[] {
    return [...this.#store.points.values()];
  }

  /** Waits until so many requests have come in. */
  async requested(count: number): Promise<void> {
    while (this.requests.length < count) await this.#arrived.promise;
  }

  /** Listens again, on the port it had; the points are still there. */
  async restart(): Promise<void> {
    this.#stopped = new AbortController();
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error) => {
        if (!this.#stopped.signal.aborted) throw error;
      });
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("No port");
    this.#port = address.port;
  }

  /** Drops every connection and refuses new ones. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
    const raw = Buffer.concat(chunks);
    const { pathname, searchParams } = new URL(incoming.url ?? "/", this.url);
    let inflated: Buffer | undefined = raw;
    if (incoming.headers["content-encoding"] === "gzip") {
      try {
        inflated = gunzipSync(raw);
      } catch {
        inflated = undefined;
      }
    }
    const request: ReceivedRequest = {
      method: incoming.method ?? "",
      path: pathname,
      query: searchParams,
      headers: incoming.headers,
      body: (inflated ?? raw).toString(),
      size: raw.length,
    };
    const trouble = isQuestion(request)
      ? this.questionTrouble(request, this.questions.push(request) - 1)
      : this.trouble(request, this.requests.push(request) - 1);
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
    if (this.delayMs > 0) {
      await delay(this.delayMs, undefined, { signal: this.#stopped.signal });
    }
    if (trouble === "hang") return;
    if (trouble === "reset") return void incoming.socket.destroy();
    let answer: ScriptedAnswer;
    if (trouble === "login page") {
      answer = {
        status: 200,
        body: "<!doctype html><title>Sign in</title>",
        headers: { "content-type": "text/html" },
      };
    } else if (typeof trouble === "object") answer = trouble;
    else answer = this.#answer(request, inflated === undefined);
    if (trouble === "lose reply") return void incoming.socket.destroy();
    const date = new Date(Date.now() + this.clockAheadMs).toUTCString();
    const own = typeof trouble === "object" || trouble === "login page"
      ? {}
      : this.#headers(request, answer);
    response.sendDate = false;
    response.writeHead(answer.status, {
      ...(this.tellsTime && { date }),
      ...own,
      ...answer.headers,
    });
    if (answer.unfinished) response.write(answer.body);
    else response.end(answer.body);
  }

  #answer(request: ReceivedRequest, badGzip: boolean): ScriptedAnswer {
    const { version, maxBodyBytes = version === 1 ? 25_000_000 : Infinity } = this.#options;
    const by1 = version === 1 || ["/write", "/query"].includes(request.path);
    if (isQuestion(request)) {
      const refusal = version === 1
        ? this.#credentials1(request)
        : by1
        ? this.#password2(request)
        : this.#token2(request);
      return refusal ??
        answerQuestion(request, {
          ...this.#options,
          places: this.places,
          hides: this.hides || this.inactive,
          error: (status, message, code) => this.#error(status, message, code),
        });
    }
    const paths = version === 1 ? ["/write"] : ["/write", "/api/v2/write"];
    if (request.method !== "POST" || !paths.includes(request.path)) {
      return {
        status: 404,
        body: version === 1 ? "404 page not found\n" : "no assets included in binary",
        headers: {
          "content-type": "text/plain; charset=utf-8",
          "x-content-type-options": "nosniff",
        },
      };
    }
    const refusal = version === 1
      ? this.#door1(request)
      : by1
      ? this.#door2By1(request)
      : this.#door2(request);
    if (refusal) return refusal;
    if (request.size > maxBodyBytes) {
      return version === 1 ? this.#error(413, "Request Entity Too Large") : {
        status: 413,
        body: "<html><head><title>413 Request Entity Too Large</title></head></html>",
        headers: { "content-type": "text/html" },
      };
    }
    if (badGzip) {
      return version === 1
        ? this.#error(400, "gzip: invalid header")
        : this.#error(500, "internal error");
    }
    const failure = this.#store.take(
      request.body,
      Date.now() + this.clockAheadMs,
      this.refuses,
    );
    return failure ? this.#error(failure.status, failure.message) : { status: 204 };
  }

  #credentials1({ headers }: ReceivedRequest): ScriptedAnswer | undefined {
    const { username, password } = this.#options;
    const [scheme, credentials = ""] = String(headers.authorization ?? "").split(" ");
    if (username === undefined) return undefined;
    if (scheme !== "Basic") return this.#error(401, "unable to parse authentication credentials");
    if (Buffer.from(credentials, "base64").toString() !== `${username}:${password}`) {
      return this.#error(401, "authorization failed");
    }
  }

  #token2({ headers }: ReceivedRequest): ScriptedAnswer | undefined {
    if (headers.authorization !== `Token ${this.#options.token}`) {
      return this.#error(401, "unauthorized access");
    }
  }

  /** The password of the 1.x API is a token, and anybody its user. */
  #password2(request: ReceivedRequest): ScriptedAnswer | undefined {
    const [scheme, credentials = ""] = String(request.headers.authorization ?? "").split(" ");
    if (scheme !== "Basic") return this.#token2(request);
    const [, password] = /:(.*)/.exec(Buffer.from(credentials, "base64").toString()) ?? [];
    if (this.inactive || password !== this.#options.token) return this.#error(401, "Unauthorized");
  }

  #door1(request: ReceivedRequest): ScriptedAnswer | undefined {
    const { username } = this.#options;
    const database = request.query.get("db");
    if (database === null) return this.#error(400, "database is required");
    const refusal = this.#credentials1(request);
    if (refusal) return refusal;
    if (!this.places.has(database)) return this.#error(404, `database not found: "${database}"`);
    if (this.forbids) {
      const who = `"${username}" user is not authorized to write to database "${database}"`;
      return this.#error(403, who);
    }
  }

  #door2(request: ReceivedRequest): ScriptedAnswer | undefined {
    const refusal = this.#token2(request);
    if (refusal) return refusal;
    const [org = "", bucket = ""] = ["org", "bucket"].map((name) => request.query.get(name) ?? "");
    // 16 hexadecimal digits are an id, even where an organization is called so
    if (/^[0-9a-f]{16}$/i.test(org)) {
      if (org.toLowerCase() !== ORG_ID) return this.#error(404, "organization not found");
    } else if (org !== this.#options.org) {
      return this.#error(404, `organization name "${org}" not found`);
    }
    if (!this.places.has(bucket)) return this.#error(404, `bucket "${bucket}" not found`);
    const denied = "insufficient permissions for write";
    if (this.inactive) return this.#error(403, `${denied}: token is inactive`);
    if (this.forbids) return this.#error(403, denied);
  }

  #door2By1(request: ReceivedRequest): ScriptedAnswer | undefined {
    const refusal = this.#password2(request);
    if (refusal) return refusal;
    const database = request.query.get("db");
    if (database === null) return this.#error(400, "missing db");
    if (!this.places.has(database)) return this.#error(404, "no dbrp mapping found");
    if (this.forbids) return this.#error(403, "insufficient permissions for write");
  }

  /** What every answer has. */
  #headers({ path }: ReceivedRequest, { status }: ScriptedAnswer): Record<string, string> {
    const is1 = ["/write", "/query"].includes(path);
    if (this.#options.version === 2) {
      return {
        "x-influxdb-build": "OSS",
        "x-influxdb-version": "v2.7.12",
        ...(is1 && status !== 401 && { vary: "Accept-Encoding" }),
      };
    }
    const id = "9bceaf88-e921-11f1-8009-26d4d7a7dd87";
    return {
      "x-influxdb-build": "OSS",
      "x-influxdb-version": this.#options.window ? "v1.13.2" : "1.6.7~rc0",
      ...(is1 && { "content-type": "application/json", "request-id": id, "x-request-id": id }),
    };
  }

  #error(status: number, message: string, code = CODES[status] ?? ""): ScriptedAnswer {
    if (this.#options.version === 2) {
      return {
        status,
        body: JSON.stringify({ code, message }),
        headers: {
          "content-type": "application/json; charset=utf-8",
          "x-platform-error-code": code,
        },
      };
    }
    return {
      status,
      body: `${JSON.stringify({ error: message })}\n`,
      headers: status === 401
        ? { "www-authenticate": 'Basic realm="InfluxDB"' }
        : { "x-influxdb-error": message.replace(/[^\x20-\x7e]/g, " ").slice(0, 1_000) },
    };
  }
}
