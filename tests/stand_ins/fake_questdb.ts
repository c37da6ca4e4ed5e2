/**
 * What QuestDB 9.3.4 was seen to answer to writes: all or nothing, in words of its own, whatever the
 * database, token or organization. It is set as the trouble of a FakeInfluxDb, whose socket it speaks by.
 */
import type { ReceivedRequest, ScriptedAnswer } from "./fake_influxdb.ts";
import { parseLine, type ReceivedPoint, splitLines } from "./fake_influxdb_store.ts";

const HEADERS = { server: "questDB/1.0" };

export class FakeQuestDb {
  /** A point that is sent twice is two of them. */
  readonly rows: ReceivedPoint[] = [];
  readonly #types = new Map<string, string>();

  /** As a trouble of FakeInfluxDb. */
  readonly answer = ({ method, path, body }: ReceivedRequest): ScriptedAnswer => {
    if (path === "/ping") return { status: 204, headers: HEADERS };
    if (path.startsWith("/api/v3/")) {
      return { status: 405, body: `Method ${method} not supported`, headers: HEADERS };
    }
    if (path !== "/write" && path !== "/api/v2/write") return { status: 404, headers: HEADERS };
    const points = splitLines(body).map((line) => parseLine(line, 2));
    const types = new Map(this.#types);
    for (const [index, point] of points.entries()) {
      const failure = this.#failureOf(point, index + 1, types);
      if (failure) return failure;
    }
    for (const [column, type] of types) this.#types.set(column, type);
    this.rows.push(...points);
    return { status: 204, headers: HEADERS };
  };

  #failureOf(
    { measurement, fields }: ReceivedPoint,
    line: number,
    types: Map<string, string>,
  ): ScriptedAnswer | undefined {
    const error = (status: number, code: string, words: string): ScriptedAnswer => {
      const message = `failed to parse line protocol:errors encountered on line(s):${words}`;
      const body = JSON.stringify({ code, message, line, errorId: "3c00399f896c-1" });
      const headers = { ...HEADERS, "content-type": "application/json; charset=utf-8" };
      return { status, body, headers };
    };
    for (const [name, value] of fields) {
      if (name === "timestamp") {
        const words = `write error: ${measurement}, error: java.lang.UnsupportedOperationException`;
        return error(500, "internal error", words);
      }
      if (/[-./?'":()%*+~]/.test(name)) {
        const words = `table: ${measurement}; invalid column name: ${name}`;
        return error(400, "invalid", `\nerror in line ${line}: ${words}`);
      }
      const column = `${measurement}\0${name}`;
      const type = typeof value === "number" ? "DOUBLE" : "STRING";
      if (types.get(column) === "DOUBLE" && type === "STRING") {
        const words = `table: ${measurement}, column: ${name}; cast error from protocol type: ` +
          "STRING to column type: DOUBLE";
        return error(400, "invalid", `\nerror in line ${line}: ${words}`);
      }
      if (!types.has(column)) types.set(column, type);
    }
  }
}
