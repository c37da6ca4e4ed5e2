/** Between ingest and a simulated Home Assistant: passes frames on, changes them, and sends some of its own. */

/** What becomes of a frame of Home Assistant's. */
export type Changing = (frame: string) => string | Uint8Array<ArrayBuffer>;

export class FrameRelay implements AsyncDisposable {
  readonly url: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #client: WebSocket | undefined;
  changing: Changing = (frame) => frame;
  /** How often ingest has connected. */
  connections = 0;

  constructor(hassUrl: string) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => {
        if (request.headers.get("upgrade") !== "websocket") {
          return new Response("", { status: 404 });
        }
        const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
        this.#join(socket, new WebSocket(`${hassUrl.replace(/^http/, "ws")}/api/websocket`));
        return response;
      },
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  #join(client: WebSocket, hass: WebSocket): void {
    this.connections++;
    this.#client = client;
    const early: string[] = [];
    hass.onopen = () => early.splice(0).forEach((text) => hass.send(text));
    client.onmessage = ({ data }) =>
      hass.readyState === WebSocket.OPEN ? hass.send(data) : early.push(data);
    hass.onmessage = ({ data }) => {
      if (client.readyState === WebSocket.OPEN) client.send(this.changing(data));
    };
    client.onclose = () => hass.close();
    hass.onclose = () => client.close();
    client.onerror = hass.onerror = () => {};
  }

  /** Sends a frame as Home Assistant does. Returns false where nobody is connected. */
  inject(frame: string | Uint8Array<ArrayBuffer>): boolean {
    if (this.#client?.readyState !== WebSocket.OPEN) return false;
    this.#client.send(frame);
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    await this.#server.shutdown();
  }
}
