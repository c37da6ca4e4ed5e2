/**
 * A proxy with TLS before a server on this machine. It lets in who sends the headers that it
 * wants, and answers anybody else itself, as Cloudflare Access and the like do.
 */
import { Buffer } from "node:buffer";

const TLS = new URL("../fixtures/tls/", import.meta.url);
const textOf = (name: string) => Deno.readTextFileSync(new URL(name, TLS));

/** Where the certificate authority of the proxy's certificate is. */
export const CA_FILE = new URL("ca.pem", TLS).pathname;
/** A certificate that signs itself, for other names than this machine's. */
export const ELSEWHERE_FILE = new URL("elsewhere.pem", TLS).pathname;

export interface TlsProxyOptions {
  /** The port behind it. */
  readonly port: number;
  /** What it wants to be sent, by lower-case names. */
  readonly wants?: Readonly<Record<string, string>>;
  /** What it tells anybody else: the whole answer. */
  readonly refusal?: string;
  /** `server.pem`, or `elsewhere.pem`. */
  readonly certificate?: string;
  /** What it speaks; aiohttp names none. */
  readonly alpnProtocols?: string[];
}

export const FORBIDDEN = "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nForbidden";

export class TlsProxy implements AsyncDisposable {
  /** The heads of all requests, with their headers. */
  readonly heads: string[] = [];
  /** What it wants; may be changed. */
  wants: Readonly<Record<string, string>>;
  refusal: string;
  readonly #listener: Deno.TlsListener;
  readonly #sockets = new Set<Deno.Conn>();
  readonly #carrying: Promise<unknown>[] = [];

  constructor(private readonly options: TlsProxyOptions) {
    const { wants = {}, refusal = FORBIDDEN, certificate = "server.pem", alpnProtocols } = options;
    this.wants = wants;
    this.refusal = refusal;
    this.#listener = Deno.listenTls({
      hostname: "127.0.0.1",
      port: 0,
      cert: textOf(certificate),
      key: textOf("server.key"),
      alpnProtocols,
    });
    this.#carrying.push(this.#accept());
  }

  /** Host and port. */
  get host(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  get url(): string {
    return `https://${this.host}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.#end(...this.#sockets);
    await Promise.all(this.#carrying);
  }

  async #accept(): Promise<void> {
    for (;;) {
      try {
        const client = await this.#listener.accept();
        this.#sockets.add(client);
        this.#carrying.push(this.#serve(client));
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        if (error instanceof Deno.errors.Interrupted) return;
      }
    }
  }

  async #serve(client: Deno.TlsConn): Promise<void> {
    try {
      const begun = await this.#head(client);
      if (begun === undefined) return;
      const server = await Deno.connect({ hostname: "127.0.0.1", port: this.options.port });
      this.#sockets.add(server);
      await writeAll(server, begun);
      await Promise.all([carry(client, server), carry(server, client)]);
    } catch {
      // who does not trust the certificate ends it
    } finally {
      this.#end(client);
    }
  }

  /** The first bytes of who is let in; anybody else is answered. */
  async #head(client: Deno.TlsConn): Promise<Uint8Array | undefined> {
    let bytes = new Uint8Array();
    const chunk = new Uint8Array(65_536);
    while (!latin1(bytes).includes("\r\n\r\n")) {
      const count = await client.read(chunk);
      if (count === null) return undefined;
      bytes = new Uint8Array([...bytes, ...chunk.subarray(0, count)]);
    }
    const [head = ""] = latin1(bytes).split("\r\n\r\n");
    this.heads.push(head);
    const [, ...lines] = head.split("\r\n");
    const sent = new Map(lines.map((line): [string, string] => {
      const at = line.indexOf(":");
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
    }));
    if (Object.entries(this.wants).every(([name, value]) => sent.get(name) === value)) return bytes;
    await writeAll(client, Buffer.from(this.refusal));
    client.closeWrite();
    // until the other side has read it and goes
    while (await client.read(chunk) !== null);
    return undefined;
  }

  #end(...sockets: readonly Deno.Conn[]): void {
    for (const socket of sockets) {
      this.#sockets.delete(socket);
      try {
        socket.close();
      } catch {
        // closed already
      }
    }
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

async function writeAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

/** Copies until either ends, and ends the other. */
async function carry(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const chunk = new Uint8Array(65_536);
  try {
    for (;;) {
      const count = await from.read(chunk);
      if (count === null) break;
      await writeAll(to, chunk.subarray(0, count));
    }
  } catch {
    // one of the two ended it
  }
  for (const conn of [from, to]) {
    try {
      conn.close();
    } catch {
      // closed already
    }
  }
}
