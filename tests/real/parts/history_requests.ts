/** What ingest asks of Home Assistant's history, read off the wire by the proxy between them. */
import * as z from "zod";
import { ClientStream } from "./frames.ts";
import type { Proxy } from "./proxy.ts";

const commandSchema = z.looseObject({
  type: z.string(),
  end_time: z.string().optional(),
  entity_ids: z.array(z.string()).optional(),
});

export class HistoryRequests {
  #asked: { readonly type: string; readonly entities: number }[] = [];

  readonly #streams = new Map<number, ClientStream>();

  /** From the next connection on. */
  constructor(proxy: Proxy) {
    const first = proxy.connections;
    proxy.onRequest = (piece, connection) => {
      if (connection >= first) this.#take(piece, connection);
    };
  }

  /** How many there were since the last call, of rows and of barriers, and of how many entities at most. */
  take(): { readonly rows: number; readonly barriers: number; readonly entities: number } {
    const asked = this.#asked.splice(0);
    const rows = asked.filter(({ type }) => type === "rows");
    return {
      rows: rows.length,
      barriers: asked.length - rows.length,
      entities: Math.max(0, ...rows.map(({ entities }) => entities)),
    };
  }

  #take(piece: Uint8Array, connection: number): void {
    const stream = this.#streams.get(connection) ?? new ClientStream();
    this.#streams.set(connection, stream);
    for (const text of stream.texts(piece)) {
      const { type, end_time, entity_ids = [] } = commandSchema.parse(JSON.parse(text));
      if (!type.startsWith("history/")) continue;
      // a stream without an end is a barrier
      this.#asked.push({ type: end_time ? "rows" : "barrier", entities: entity_ids.length });
    }
  }
}
