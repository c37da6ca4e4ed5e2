/** What refuses a token as Home Assistant does, and tells in all that it says what it was sent. */

export class TellingHomeAssistant implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** How many tokens it was sent. */
  logins = 0;

  constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      if (request.headers.get("upgrade") !== "websocket") return tell(request, 401);
      const headers = JSON.stringify([...request.headers]);
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onopen = () => socket.send('{"type":"auth_required","ha_version":"2026.11.0"}');
      socket.onmessage = ({ data }) => {
        this.logins++;
        // frames that are broken in each way in which one can be, with what was sent in them
        socket.send(String(data).slice(0, -1));
        socket.send(`{"type":"event","id":1,"event":${data},`);
        socket.send(`{"type":${JSON.stringify(data)},"id":${JSON.stringify(data)}}`);
        socket.send(`{"type":"result","id":"x","success":${data}}`);
        socket.send(new TextEncoder().encode(String(data)));
        socket.send(JSON.stringify({ type: "auth_invalid", message: `No: ${data} ${headers}` }));
        const { access_token: token } = JSON.parse(String(data));
        socket.close(3000, String(token).slice(0, 100));
      };
      return response;
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** An answer of that status that tells the request's headers, as JSON, as text and as a reason. */
export function tell({ headers }: Request, status: number): Response {
  const all = [...headers];
  const text = all.map(([name, value]) => `${name}: ${value}`).join(" ");
  return Response.json(
    { message: text, detail: text, cause: JSON.stringify(all), error: text },
    { status },
  );
}
