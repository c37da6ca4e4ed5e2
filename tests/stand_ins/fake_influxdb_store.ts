/** What InfluxDB 1.6.7, 1.13.2 and 2.7.12 make of a body of lines, with their words for what is wrong. */
import { Buffer } from "node:buffer";
import { durationOf } from "./fake_influxdb_admin.ts";

export type ReceivedValue = number | bigint | string | boolean;

export interface ReceivedPoint {
  readonly measurement: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly fields: ReadonlyMap<string, ReceivedValue>;
  readonly timeNs: bigint;
}

/** 1.13's PAST LIMIT and FUTURE LIMIT. */
export interface WriteWindow {
  readonly pastMs: number;
  readonly futureMs: number;
}

interface FakeStoreOptions {
  readonly version: 1 | 2;
  readonly retentionMs?: number;
  readonly window?: WriteWindow;
}

const SHARD_GROUP_MS = 604_800_000;
const NANOSECONDS_PER_MS = 1_000_000n;
const MAX_TIME_NS = 9_223_372_036_854_775_806n;
const MAX_STRING_BYTES = 1_048_576;

function typeOf(value: ReceivedValue): string {
  if (typeof value === "number") return "float";
  return typeof value === "bigint" ? "integer" : typeof value;
}

/** The lines of a body, without comments and empty ones; a line break within a string is part of it. */
export function splitLines(body: string): string[] {
  const lines: string[] = [];
  let start = 0;
  let inFields = false;
  let quoted = false;
  for (let i = 0; i < body.length; i++) {
    const char = body[i];
    if (char === "\\") i++;
    else if (char === " ") inFields = true;
    else if (char === '"' && inFields) quoted = !quoted;
    else if (char === "\n" && !quoted) {
      lines.push(body.slice(start, i));
      start = i + 1;
      inFields = false;
    }
  }
  return [...lines, body.slice(start)].filter((line) =>
    line.trim() !== "" && !line.startsWith("#")
  );
}

/** Cuts at a separator that does not follow a backslash, be that escaped itself or not. */
function cut(text: string, separator: string): string[] {
  return text.split(new RegExp(`(?<!\\\\)${separator}`));
}

/** Cuts at a separator that stands neither within quotes nor behind a backslash. */
function cutUnquoted(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') quoted = !quoted;
    else if (text[i] === separator && !quoted) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  if (quoted) throw new Error("unbalanced quotes");
  return [...parts, text.slice(start)];
}

function unescape(text: string): string {
  return text.replace(/\\([,= ])/g, "$1");
}

function parseValue(text: string): ReceivedValue {
  if (text.startsWith('"')) return text.slice(1, -1).replace(/\\(["\\])/g, "$1");
  if (/^-?\d+i$/.test(text)) return BigInt(text.slice(0, -1));
  if (/^[-.\dnN]/.test(text)) {
    if (!/^-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text)) throw new Error("invalid number");
    if (!Number.isFinite(Number(text))) throw new Error("invalid float");
    return Number(text);
  }
  if (/^(t|T|true|True|TRUE)$/.test(text)) return true;
  if (/^(f|F|false|False|FALSE)$/.test(text)) return false;
  throw new Error("invalid boolean");
}

/** Throws an Error with InfluxDB's reason. A line without a time gets the server's. */
export function parseLine(line: string, version: 1 | 2): ReceivedPoint {
  const [key, ...rest] = cut(line.replace(/^ +/, ""), " ");
  const [measurement, ...tagTexts] = cut(key, ",");
  if (measurement === "") throw new Error("missing measurement");
  const tags = new Map<string, string>();
  for (const text of tagTexts) {
    const [name, value = "", more] = cut(text, "=");
    if (name === "") throw new Error("missing tag key");
    if (value === "") throw new Error("missing tag value");
    if (more !== undefined) throw new Error("invalid tag format");
    if (tags.has(unescape(name))) throw new Error("duplicate tags");
    if (version === 2 && name === "time") throw new Error('cannot use reserved tag key "time"');
    tags.set(unescape(name), unescape(value));
  }
  const [fieldsText, time, ...beyond] = cutUnquoted(rest.join(" "), " ").filter(Boolean);
  if (fieldsText === undefined) throw new Error("missing fields");
  const fields = new Map<string, ReceivedValue>();
  for (const text of cutUnquoted(fieldsText, ",")) {
    const [name, ...values] = cut(text, "=");
    const value = values.join("=");
    if (values.length === 0) throw new Error("invalid field format");
    if (name === "") throw new Error("missing field key");
    if (value === "") throw new Error("missing field value");
    fields.set(unescape(name), parseValue(value));
  }
  if (beyond.length > 0) throw new Error("point is invalid");
  if (time !== undefined && !/^-?\d+$/.test(time)) throw new Error("bad timestamp");
  const timeNs = time === undefined ? BigInt(Date.now()) * 1_000_000n : BigInt(time);
  if (timeNs !== BigInt.asIntN(64, timeNs)) {
    throw new Error(`strconv.ParseInt: parsing "${time}": value out of range`);
  }
  if (timeNs > MAX_TIME_NS || timeNs < -MAX_TIME_NS) {
    throw new Error(`time outside range -${MAX_TIME_NS} - ${MAX_TIME_NS}`);
  }
  return { measurement: unescape(measurement), tags, fields, timeNs };
}

function msOf({ timeNs }: ReceivedPoint): number {
  return Number(timeNs / NANOSECONDS_PER_MS);
}

/** The points that were taken, each with the union of the fields that it was ever given. */
export class FakeStore {
  readonly points = new Map<string, ReceivedPoint>();
  readonly #types = new Map<string, string>();
  readonly #version: 1 | 2;
  readonly #window: WriteWindow | undefined;
  retentionMs: number;
  readonly series = new Set<string>();
  /** Version 1: `max-series-per-database`. */
  maxSeries = Infinity;

  constructor({ version, retentionMs = Infinity, window }: FakeStoreOptions) {
    this.#version = version;
    this.retentionMs = retentionMs;
    this.#window = window;
  }

  /** Takes what can be taken, at that time, and returns how the rest is refused. */
  take(
    body: string,
    nowMs: number,
    refuses: (point: ReceivedPoint) => boolean,
  ): { readonly status: number; readonly message: string } | undefined {
    const version = this.#version;
    const parsed: ReceivedPoint[] = [];
    const unparsed: string[] = [];
    for (const line of splitLines(body)) {
      try {
        parsed.push(parseLine(line, version));
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        unparsed.push(`unable to parse '${line}': ${error.message}`);
      }
    }
    if (unparsed.length > 0 && (version === 2 || parsed.length === 0)) {
      return { status: 400, message: unparsed.join("\n") };
    }
    const oldestMs = nowMs - this.retentionMs;
    const { pastMs = Infinity, futureMs = Infinity } = this.#window ?? {};
    const inTime = parsed.filter((point) => {
      const timeMs = msOf(point);
      return timeMs >= oldestMs && timeMs >= nowMs - pastMs && timeMs <= nowMs + futureMs;
    });
    const conflicts: string[] = [];
    const { dropped, rest } = this.#withinLimit(inTime);
    for (const point of rest) {
      const conflict = this.#conflictOf(point, refuses(point));
      if (conflict === undefined) this.#unite(point);
      else conflicts.push(conflict);
    }
    const beyond = parsed.length - inTime.length;
    // of several kinds of trouble both versions name one, and count that one only
    let partial: string;
    if (dropped > 0) {
      partial = `max-series-per-database limit exceeded: (${this.maxSeries}) ` +
        `dropped=${dropped + conflicts.length}`;
    } else if (conflicts.length > 0) partial = `${conflicts[0]} dropped=${conflicts.length}`;
    else if (beyond > 0 && version === 1 && !this.#window) {
      partial = `points beyond retention policy dropped=${beyond}`;
    } else if (beyond > 0) {
      partial = this.#outOfTime(parsed, inTime, oldestMs);
    } else if (unparsed.length > 0) partial = `${unparsed.join("\n")} dropped=0`;
    else return undefined;
    return version === 1 ? { status: 400, message: `partial write: ${partial}` } : {
      status: 422,
      message: `failure writing points to database: partial write: ${partial}`,
    };
  }

  /**
   * 1.13.2 counts as outside its window only what is of the time of a shard group that it takes
   * another point of the batch into; the others it calls outside the retention.
   */
  #outOfTime(
    parsed: readonly ReceivedPoint[],
    inTime: readonly ReceivedPoint[],
    oldestMs: number,
  ): string {
    const groupOf = (point: ReceivedPoint) => Math.floor(msOf(point) / SHARD_GROUP_MS);
    const groups = new Set(inTime.map(groupOf));
    const taken = new Set(inTime);
    const dropped = parsed.filter((point) => !taken.has(point)).toSorted((a, b) =>
      msOf(a) - msOf(b)
    );
    const late = this.#window ? dropped.filter((point) => groups.has(groupOf(point))).length : 0;
    const bound = Number.isFinite(oldestMs)
      ? new Date(oldestMs).toISOString()
      : "1677-09-21T00:12:43.145224194Z";
    const told = (point: ReceivedPoint | undefined) =>
      point && `point ${point.measurement} at ${new Date(msOf(point)).toISOString()} dropped ` +
        `because it violates a Retention Policy Lower Bound at ${bound}`;
    const duration = Number.isFinite(this.retentionMs) ? durationOf(this.retentionMs) : "0s";
    const window = this.#window && ` and ${late} points outside write window ` +
        `(-${durationOf(this.#window.pastMs)} to ${durationOf(this.#window.futureMs)})`;
    return `dropped ${dropped.length - late} points outside retention policy of duration ` +
      `${duration}${window ?? ""} - oldest ${told(dropped[0])}, newest ${told(dropped.at(-1))} ` +
      `dropped=${dropped.length} for database: home for retention policy: autogen`;
  }

  /**
   * Of points of new series, which together would be too many, 1.6.7 takes none, not even so many as
   * there is room for. It counts points, not series; and since it moves the keys of the new
   * series to the front of its list, it also drops points of other series that stand there, without
   * counting them.
   */
  #withinLimit(
    points: readonly ReceivedPoint[],
  ): { readonly dropped: number; readonly rest: readonly ReceivedPoint[] } {
    const keys = points.map(({ measurement, tags }) => JSON.stringify([measurement, ...tags]));
    const added = keys.filter((key) => !this.series.has(key));
    if (added.length === 0 || this.series.size + added.length <= this.maxSeries) {
      for (const key of added) this.series.add(key);
      return { dropped: 0, rest: points };
    }
    const moved = [...added, ...keys.slice(added.length)];
    const isDropped = new Set(added);
    return {
      dropped: added.length,
      rest: points.filter((_, index) => !isDropped.has(moved[index] ?? "")),
    };
  }

  /** Why the point as a whole is dropped. The first value of a field decides its type. */
  #conflictOf({ measurement, fields, tags }: ReceivedPoint, refused: boolean): string | undefined {
    for (const [field, value] of fields) {
      const input = `input field "${field}" on measurement "${measurement}" is`;
      const type = typeOf(value);
      const known = this.#types.get(`${measurement}\0${field}`) ?? (refused ? "boolean" : type);
      if (refused || known !== type) {
        return `field type conflict: ${input} type ${type}, already exists as type ${known}`;
      }
      const bytes = typeof value === "string" ? Buffer.byteLength(value) : 0;
      if (this.#version === 2 && bytes > MAX_STRING_BYTES) {
        return `${input} too long, ${bytes} > ${MAX_STRING_BYTES}`;
      }
      if (this.#version === 1 && field === "time" && fields.size === 1) {
        return `invalid field name: ${input} invalid`;
      }
    }
    if (this.#version === 1 && tags.has("time")) {
      return `invalid tag key: input tag "time" on measurement "${measurement}" is invalid`;
    }
  }

  #unite(point: ReceivedPoint): void {
    const { measurement, tags, timeNs, fields } = point;
    // a field named time is lost in silence
    const kept = [...fields].filter(([field]) => field !== "time");
    if (kept.length === 0) return;
    for (const [field, value] of kept) {
      this.#types.set(`${measurement}\0${field}`, typeOf(value));
    }
    const key = JSON.stringify([measurement, [...tags].sort(), String(timeNs)]);
    const before = this.points.get(key)?.fields ?? [];
    this.points.set(key, { ...point, fields: new Map([...before, ...kept]) });
  }
}
