/**
 * A VictoriaMetrics on a real socket that answers and stores as 1.151.0 was seen to: a text becomes 0,
 * a sample that is too old, too far ahead or of a series beyond a limit is thrown away with a 204, a
 * batch with a line that cannot be read is refused as a whole.
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { gunzipSync } from "node:zlib";

export interface FakeVictoriaMetricsOptions {
  /** 0, or none, for any. */
  readonly port?: number;
  /** `-http.pathPrefix`. */
  readonly prefix?: string;
  /** Flags as `/metrics` shows them, besides or instead of the usual ones; undefined for one that it lacks. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** How long it keeps a sample and how far ahead: what the flags say, in milliseconds. */
  readonly retentionMs?: number;
  readonly aheadMs?: number;
  /** When it began, in seconds since 1970, and whether the process before was killed. */
  readonly started?: number;
  readonly wasKilled?: boolean;
  /** As vmauth does: its own /metrics, which tells no retention. */
  readonly behindVmauth?: boolean;
}

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const DAY_MS = 86_400_000;
const FLAGS: Readonly<Record<string, string>> = {
  "dedup.minScrapeInterval": "0s",
  futureRetention: "2d",
  "http.pathPrefix": "",
  influxDBLabel: "db",
  influxMeasurementFieldSeparator: "_",
  influxSkipMeasurement: "false",
  influxSkipSingleField: "false",
  influxTrimTimestamp: "1ms",
  maxBackfillAge: "0",
  maxLabelNameLen: "256",
  maxLabelValueLen: "4096",
  maxLabelsPerTimeseries: "40",
  relabelConfig: "",
  retentionPeriod: "1M",
};

/** One sample as it is stored. */
export interface Sample {
  /** The name, and the labels sorted by theirs. */
  readonly series: string;
  readonly timeMs: number;
  readonly value: number;
}

/** How a series is named in `samples`. */
export function seriesOf(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, ...Object.entries(labels).toSorted(([a], [b]) => a < b ? -1 : 1)]);
}

export class FakeVictoriaMetrics implements AsyncDisposable {
  readonly writes: FakeRequest[] = [];
  /** What else was asked. */
  readonly questions: FakeRequest[] = [];
  readonly samples: Sample[] = [];
  /** vm_rows_ignored_total, by reason. */
  readonly ignored = new Map<string, number>();
  /** How far its clock is ahead of the true one. */
  clockAheadMs = 0;
  /** Its `/metrics` waits for this, and fails where it is "failing". */
  metrics: Promise<void> | "failing" | undefined;
  /** Series that it has, by `-storage.maxHourlySeries`, and what it has thrown away of others. */
  readonly #series = new Set<string>();
  #droppedOfNewSeries = 0;
  /** What it answers a write instead, so long as it is set. */
  answer: { readonly status: number; readonly body: string } | undefined;
  readonly #options: FakeVictoriaMetricsOptions;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  private constructor(options: FakeVictoriaMetricsOptions) {
    this.#options = options;
  }

  static async start(options: FakeVictoriaMetricsOptions = {}): Promise<FakeVictoriaMetrics> {
    const fake = new FakeVictoriaMetrics(options);
    fake.#server.listen(options.port ?? 0, "127.0.0.1");
    await once(fake.#server, "listening");
    return fake;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("No port");
    return `http://127.0.0.1:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
    const raw = Buffer.concat(chunks);
    const isZipped = incoming.headers["content-encoding"] === "gzip";
    const { pathname, searchParams } = new URL(incoming.url ?? "/", this.url);
    const request: FakeRequest = {
      method: incoming.method ?? "",
      path: pathname,
      query: searchParams,
      headers: incoming.headers,
      body: (isZipped ? gunzipSync(raw) : raw).toString(),
    };
    const date = new Date(Date.now() + this.clockAheadMs).toUTCString();
    if (pathname.endsWith("/metrics")) await this.#untilMetrics(request);
    const { status, body = "", influx = true } = this.#answer(request);
    response.writeHead(status, {
      date,
      vary: "Accept-Encoding",
      "x-server-hostname": "vm",
      ...(influx && { "x-influxdb-version": "1.8.0" }),
    });
    response.end(body);
  }

  async #untilMetrics(request: FakeRequest): Promise<void> {
    this.questions.push(request);
    if (this.metrics !== "failing") await this.metrics;
  }

  #answer(request: FakeRequest): { status: number; body?: string; influx?: boolean } {
    const { prefix = "", behindVmauth = false } = this.#options;
    const path = request.path.startsWith(`${prefix}/`) ? request.path.slice(prefix.length) : "";
    const route = path.replace(/^\/influx(?=\/)/, "");
    if (["/write", "/api/v2/write"].includes(route)) {
      this.writes.push(request);
      return this.answer ?? this.#write(request);
    }
    if (path === "/metrics") {
      if (this.metrics === "failing") return { status: 503, influx: false };
      return { status: 200, body: this.#metrics(behindVmauth), influx: false };
    }
    this.questions.push(request);
    if (route === "/query") {
      const body =
        '{"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],' +
        '"values":[["_internal"]]}]}]}';
      return { status: 200, body };
    }
    if (path === "/ping") return { status: 204, influx: false };
    return { status: 400, body: `unsupported path requested: "${path}"\n`, influx: false };
  }

  #metrics(behindVmauth: boolean): string {
    const set = behindVmauth ? { "auth.config": "auth.yml" } : this.#options.flags ?? {};
    const all = behindVmauth ? set : { ...FLAGS, ...set };
    const flags = Object.entries(all).filter(([, value]) => value !== undefined)
      .map(([name, value]) =>
        `flag{name="${name}", value="${value}", is_set="${Object.hasOwn(set, name)}"} 1`
      );
    const ignored = [...this.ignored]
      .map(([reason, count]) => `vm_rows_ignored_total{reason="${reason}"} ${count}`);
    const { started = 1_795_702_469, wasKilled = false } = this.#options;
    const process = [
      `vm_app_start_timestamp ${started}`,
      `vm_app_prev_shutdown_unclean ${wasKilled ? 1 : 0}`,
      `vm_hourly_series_limit_rows_dropped_total ${this.#droppedOfNewSeries}`,
    ];
    return ["process_cpu_cores_available 2", ...ignored, ...flags, ...process, ""].join("\n");
  }

  #write({ body, query }: FakeRequest): { status: number; body?: string } {
    const rows: Row[] = [];
    for (let rest = body; rest !== "";) {
      const [line = ""] = rest.split("\n", 1);
      try {
        if (line !== "" && !line.startsWith("#")) rows.push(readRow(line));
      } catch (error) {
        const reason = error instanceof Error ? error.message : "";
        const text = `cannot process influx line protocol data: incorrect influx line ` +
          `${JSON.stringify(rest)}: ${reason}; see https://docs.victoriametrics.com/`;
        return { status: 400, body: `${text}\n` };
      }
      rest = rest.slice(line.length + 1);
    }
    for (const row of rows) this.#store(row, query.get("db") ?? "");
    return { status: 204 };
  }

  #store({ measurement, tags, fields, timeMs: toldMs }: Row, database: string): void {
    const { retentionMs = 31 * DAY_MS, aheadMs = 2 * DAY_MS, flags = {} } = this.#options;
    const nowMs = Date.now() + this.clockAheadMs;
    const timeMs = toldMs ?? nowMs;
    const limit = (name: string) => Number(flags[name] ?? FLAGS[name]);
    const labels = Object.fromEntries(tags);
    if (database !== "") labels.db ??= database;
    for (const [key, value] of fields) {
      const name = `${measurement}_${key}`;
      const reason = Object.keys(labels).length > limit("maxLabelsPerTimeseries")
        ? "too_many_labels"
        : Object.keys(labels).some((label) => Buffer.byteLength(label) > limit("maxLabelNameLen"))
        ? "too_long_label_name"
        : [name, ...Object.values(labels)].some((text) =>
            Buffer.byteLength(text) > limit("maxLabelValueLen")
          )
        ? "too_long_label_value"
        : timeMs < nowMs - retentionMs
        ? "small_timestamp"
        : timeMs > nowMs + aheadMs
        ? "big_timestamp"
        : undefined;
      const series = seriesOf(name, labels);
      const most = limit("storage.maxHourlySeries") || Infinity;
      if (reason) this.ignored.set(reason, (this.ignored.get(reason) ?? 0) + 1);
      else if (!this.#series.has(series) && this.#series.size >= most) this.#droppedOfNewSeries++;
      else {
        this.#series.add(series);
        this.samples.push({ series, timeMs, value });
      }
    }
  }
}

interface Row {
  readonly measurement: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly fields: readonly (readonly [string, number])[];
  /** Undefined for the server's own time. */
  readonly timeMs: number | undefined;
}

/** Cuts at a character that is not escaped, and, from the first on, not quoted. */
function cut(text: string, separator: string, { most = Infinity, quotes = false } = {}): string[] {
  const parts: string[] = [];
  let [start, isQuoted] = [0, false];
  for (let at = 0; at < text.length && parts.length < most - 1; at++) {
    if (text[at] === "\\") at++;
    else if (quotes && text[at] === '"') isQuoted = !isQuoted;
    else if (text[at] === separator && !isQuoted) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

function unescape(text: string): string {
  return text.replace(/\\([ ,=\\])/g, "$1");
}

/** Throws an Error with the server's reason. What is no number is 0. */
function readRow(line: string): Row {
  const [key = "", rest] = cut(line, " ", { most: 2 });
  if (rest === undefined) throw new Error(`cannot find Whitespace I in ${JSON.stringify(line)}`);
  const [measurement = "", ...tagTexts] = cut(key, ",");
  const tags = tagTexts.map((text): [string, string] => {
    const [name = "", value] = cut(text, "=", { most: 2 });
    if (value === undefined) throw new Error(`missing tag value for ${JSON.stringify(text)}`);
    return [unescape(name), unescape(value)];
  }).filter(([name, value]) => name !== "" && value !== "");
  const [fieldsText = "", time] = cut(rest, " ", { most: 2, quotes: true });
  const fields = cut(fieldsText, ",", { quotes: true }).map((text): [string, number] => {
    const [name = "", value] = cut(text, "=", { most: 2 });
    if (value === undefined) throw new Error(`missing field value for ${JSON.stringify(text)}`);
    return [unescape(name), /^-?[\d.]+(?:e[-+]?\d+)?$/i.test(value) ? Number(value) : 0];
  });
  const timeMs = time === undefined || time === "0" ? undefined : Number(BigInt(time) / 1_000_000n);
  return { measurement: unescape(measurement), tags: new Map(tags), fields, timeMs };
}
