/** The files that an older release has left behind, copied for a test, and what is in them. */
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { eventSchema } from "../lib/contract.ts";

/** The release whose files are in `fixtures/`. */
export const RELEASE = "v0.1.0";

const FILES = ["outbox.sqlite", "store.sqlite"] as const;

/** Copies the release's outbox and store into the folder. */
export function copyRelease(folder: string): void {
  for (const file of FILES) {
    Deno.copyFileSync(new URL(`fixtures/${RELEASE}/${file}`, import.meta.url), `${folder}/${file}`);
  }
}

const interruptionSchema = z.object({
  reason: z.string(),
  fromUs: z.number(),
  rows: z.number(),
  state: z.enum(["open", "filled"]),
});
const namesSchema = z.object({
  entity_id: z.string(),
  name: z.string().optional(),
  area: z.string().optional(),
  floor: z.string().optional(),
  device: z.string().optional(),
});
export type Names = z.infer<typeof namesSchema>;
const registrySchema = z.object({ entities: z.array(z.object({ info: namesSchema })) });
const heldSchema = z.object({
  state: z.string(),
  attributes: z.string(),
  lastUpdatedUs: z.number(),
});

export interface DeadLetter {
  readonly seq: number;
  readonly line: string;
  readonly reason: string;
}

/** A state that was read of the history, and waits in its gap for the one before it. */
export interface Held extends z.infer<typeof heldSchema> {
  readonly entityId: string;
}

export interface OutboxContents {
  readonly waiting: readonly string[];
  readonly deadLetters: readonly DeadLetter[];
  readonly counters: ReadonlyMap<string, number>;
  /** Entities that have a gap. */
  readonly gaps: ReadonlySet<string>;
  /** Those of them that are being read. */
  readonly gapsUnderWay: ReadonlySet<string>;
  readonly held: readonly Held[];
  readonly interruptions: readonly z.infer<typeof interruptionSchema>[];
  readonly names: readonly Names[];
  /** Statistic → the first hour that is not imported, in milliseconds since 1970. */
  readonly cursors: ReadonlyMap<string, number>;
  /** Since when states are missing of all that is being read, in microseconds since 1970. */
  readonly missingSinceUs: number;
}

/** What is in an outbox of v0.1.0 that no program has open. */
export function outboxContents(path: string): OutboxContents {
  using db = new DatabaseSync(path);
  const rows = (sql: string) => db.prepare(sql).all();
  const meta = new Map(
    rows("SELECT key, value FROM meta").map(({ key, value }) => [String(key), String(value)]),
  );
  const parsed = <T extends z.ZodType>(schema: T, key: string): z.infer<T> =>
    schema.parse(JSON.parse(meta.get(key) ?? "null"));
  const gapsWhere = (condition: string) =>
    new Set(
      rows(`SELECT entity_id FROM gap WHERE ${condition}`).map((row) => String(row.entity_id)),
    );
  return {
    waiting: rows("SELECT line FROM outbox ORDER BY seq").map(({ line }) => String(line)),
    deadLetters: rows("SELECT seq, line, reason FROM dead_letter ORDER BY seq").map((row) => ({
      seq: Number(row.seq),
      line: String(row.line),
      reason: String(row.reason),
    })),
    counters: new Map(
      rows("SELECT name, value FROM counter").map((row) => [String(row.name), Number(row.value)]),
    ),
    gaps: gapsWhere("true"),
    gapsUnderWay: gapsWhere("cursor_us IS NOT NULL"),
    held: rows("SELECT entity_id, held FROM gap WHERE held IS NOT NULL").map((row) => ({
      entityId: String(row.entity_id),
      ...heldSchema.parse(JSON.parse(String(row.held))),
    })),
    interruptions: parsed(z.array(interruptionSchema), "interruptions"),
    names: parsed(registrySchema, "registry").entities.map(({ info }) => info),
    cursors: new Map(
      [...meta].filter(([key]) => key.startsWith("statistics "))
        .map(([key, value]) => [key.slice("statistics ".length), Number(value)]),
    ),
    missingSinceUs: Number(
      rows("SELECT max(from_us) AS us FROM gap WHERE cursor_us IS NOT NULL")[0]?.us,
    ),
  };
}

export interface StoredPoint {
  readonly measurement: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly timeNs: bigint;
}

const tagsSchema = z.record(z.string(), z.string());
const fieldsSchema = z.record(z.string(), z.union([z.string(), z.number()]));

/** The points of a local store that no program has open, by what makes them the same. */
export function storedPoints(path: string): ReadonlyMap<string, StoredPoint> {
  using db = new DatabaseSync(path);
  const select = db.prepare(
    "SELECT measurement, tags, time_ns, fields FROM point JOIN series ON id = series",
  );
  select.setReadBigInts(true);
  return new Map(
    select.all().map(({ measurement, tags, time_ns, fields }) => [
      `${measurement} ${tags} ${time_ns}`,
      {
        measurement: String(measurement),
        tags: tagsSchema.parse(JSON.parse(String(tags))),
        fields: fieldsSchema.parse(JSON.parse(String(fields))),
        timeNs: BigInt(String(time_ns)),
      },
    ]),
  );
}

const lineSchema = z.object({
  event: eventSchema,
  registry: z.record(z.string(), z.string()).optional(),
  via: z.string().optional(),
});

/** A line of the outbox, as far as tests look into it. */
export function readLine(line: string): z.infer<typeof lineSchema> {
  return lineSchema.parse(JSON.parse(line));
}
