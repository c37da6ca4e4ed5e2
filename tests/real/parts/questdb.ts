/** A real QuestDB 9 on 127.0.0.1, and what it holds. */
import * as z from "zod";
import { freePort } from "./free_port.ts";
import { Process } from "./process.ts";
import { until } from "../../until.ts";

const answerSchema = z.object({
  columns: z.array(z.object({ name: z.string(), type: z.string() })).default([]),
  dataset: z.array(z.array(z.unknown())).default([]),
  error: z.string().optional(),
});

/** The jars of QuestDB: QUESTDB_CLASS_PATH names them. */
function classPath(): string {
  const path = Deno.env.get("QUESTDB_CLASS_PATH");
  if (path) return path;
  throw new Error("Cannot start QuestDB: let QUESTDB_CLASS_PATH be its class path (9.3, Java 17)");
}

export class QuestDb implements AsyncDisposable {
  private constructor(
    readonly url: string,
    private readonly dir: string,
    private readonly process: Process,
  ) {}

  static async start(): Promise<QuestDb> {
    const dir = await Deno.makeTempDir({ prefix: "questdb-" });
    const port = freePort();
    const words = ["java", "-Xmx512m", "-cp", classPath(), "io.questdb.ServerMain", "-d", dir];
    const off = ["HTTP_MIN", "LINE_TCP", "PG", "TELEMETRY"].map((name) =>
      [`QDB_${name}_ENABLED`, "false"] as const
    );
    const env = { QDB_HTTP_BIND_TO: `127.0.0.1:${port}`, ...Object.fromEntries(off) };
    const url = `http://127.0.0.1:${port}`;
    const questDb = new QuestDb(url, dir, new Process("questdb", words, { env }));
    try {
      await questDb.#untilAnswering();
      return questDb;
    } catch (error) {
      await questDb[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The rows of a query, by their columns. Throws what it says where it fails. */
  async query(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const response = await fetch(`${this.url}/exec?${new URLSearchParams({ query: sql })}`);
    const { columns, dataset, error } = answerSchema.parse(await response.json());
    if (error !== undefined) throw new Error(`${sql}: ${error}`);
    return dataset.map((row) =>
      Object.fromEntries(columns.map(({ name }, index) => [name, row[index]]))
    );
  }

  /** How many rows a table has once it shows so many; it shows them some time after it took them. */
  async untilRows(table: string, count: number): Promise<void> {
    await until(async () => {
      const [row] = await this.query(`SELECT count() AS n FROM "${table}"`);
      return Number(row?.n) === count;
    }, `${table} has ${count} rows`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
    await Deno.remove(this.dir, { recursive: true });
  }

  async #untilAnswering(): Promise<void> {
    await until(async () => {
      if (!this.process.running) return "ended";
      const response = await fetch(`${this.url}/ping`).catch(() => undefined);
      await response?.body?.cancel();
      return response?.ok && "answers";
    }, "QuestDB answers");
    if (!this.process.running) throw new Error(`Cannot start QuestDB: ${this.process.output}`);
  }
}
