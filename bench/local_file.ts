/** The local store's file, read while enrich writes to it. */
import { DatabaseSync } from "node:sqlite";
import { numberOf, valueOf } from "./numbered_house.ts";
import type { Numbers, Readable, ReadNumber } from "./store.ts";

const VALUE = "json_extract(fields, '$.value')";
// by series, as the file is ordered
const FROM = `FROM point WHERE series IN (SELECT id FROM series WHERE measurement = 'sensor')
  AND time_ns >= ? AND ${VALUE} >= ? AND ${VALUE} < ?`;

export class LocalFile implements Readable, AsyncDisposable {
  readonly #db: DatabaseSync;

  /** `path` is that of a file which enrich has opened. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path, { readOnly: true });
  }

  read(numbers: Numbers): Promise<ReadNumber[]> {
    const rows = this.#all(`SELECT time_ns / 1000 AS us, ${VALUE} AS value ${FROM}`, numbers);
    return Promise.resolve(
      rows.map(({ us, value }) => ({ number: numberOf(Number(value)), timeUs: Number(us) })),
    );
  }

  count(numbers: Numbers, distinct: boolean): Promise<number> {
    const counted = distinct ? `DISTINCT ${VALUE}` : "*";
    const [row] = this.#all(`SELECT count(${counted}) AS n ${FROM}`, numbers);
    return Promise.resolve(Number(row?.n));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#db.close();
    return Promise.resolve();
  }

  #all(sql: string, { first, count, fromUs }: Numbers) {
    const from = BigInt(Math.floor(fromUs)) * 1000n;
    return this.#db.prepare(sql).all(from, valueOf(first), valueOf(first + count));
  }
}
