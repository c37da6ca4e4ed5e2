/** The listener: it takes connections, and does to them what networks and restarts do. */
import { Client, type Host } from "./client.ts";
import {
  acceptUpgrade,
  type HttpAnswer,
  type HttpRequest,
  isUpgrade,
  readRequest,
  writeAnswer,
} from "./http.ts";
import { ServerSocket } from "./socket.ts";

/** What a server serves. */
export interface Served extends Host {
  /** The path under which everything is; empty, or `/` and a name. */
  readonly prefix: string;
  /** How many bytes a second a WebSocket client gets; undefined for no limit. */
  readonly bytesPerSecond: number | undefined;
  /** Answers a REST call; its path is without the prefix. */
  rest(request: HttpRequest): HttpAnswer;
}

/** Listens on 127.0.0.1 for as long as it is open. */
export class Server {
  /** Every WebSocket client, authenticated or not. */
  readonly clients = new Set<Client>();
  readonly #served: Served;
  readonly #conns = new Map<Deno.Conn, Promise<void>>();
  readonly #upgraded = new Set<Deno.Conn>();
  #listener?: Deno.TcpListener;
  #accepting?: Promise<void>;

  constructor(served: Served) {
    this.#served = served;
  }

  /** Opens the port and gives its number; 0 takes a free one. Throws where it is taken. */
  open(port: number): number {
    const listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.#listener = listener;
    this.#accepting = this.#accept(listener);
    return listener.addr.port;
  }

  /** Closes the port: from now on connections are refused. */
  async refuse(): Promise<void> {
    this.#listener?.close();
    this.#listener = undefined;
    await this.#accepting;
  }

  /** Ends all connections as a Home Assistant does that goes down. */
  async dropAll(): Promise<void> {
    await Promise.all([...this.clients].map((client) => client.drop()));
    for (const conn of this.#conns.keys()) {
      if (!this.#upgraded.has(conn)) closeQuietly(conn);
    }
    await Promise.all(this.#conns.values());
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    for await (const conn of listener) {
      const served = this.#serve(conn).catch(() => {
        // the client went away in the middle of a word
      }).finally(() => {
        this.#conns.delete(conn);
        this.#upgraded.delete(conn);
        closeQuietly(conn);
      });
      this.#conns.set(conn, served);
    }
  }

  async #serve(conn: Deno.TcpConn): Promise<void> {
    conn.setNoDelay(true);
    const request = await readRequest(conn);
    if (request === undefined) return;
    await this.#served.awake();
    const { prefix } = this.#served;
    if (!request.path.startsWith(`${prefix}/api/`)) {
      return await writeAnswer(conn, notFound());
    }
    const path = request.path.slice(prefix.length);
    if (path !== "/api/websocket") {
      return await writeAnswer(conn, this.#served.rest({ ...request, path }));
    }
    if (!isUpgrade(request.headers)) {
      return await writeAnswer(conn, {
        status: 400,
        body: "No WebSocket UPGRADE hdr: None",
        contentType: "text/plain",
      });
    }
    await acceptUpgrade(conn, request.headers);
    this.#upgraded.add(conn);
    const client = new Client(
      new ServerSocket(conn, request.rest, () => this.#served.bytesPerSecond),
      this.#served,
    );
    this.clients.add(client);
    await client.run().finally(() => this.clients.delete(client));
  }
}

function notFound(): HttpAnswer {
  return { status: 404, body: "404: Not Found", contentType: "text/plain" };
}

function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // it is closed already
  }
}
