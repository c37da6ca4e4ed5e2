/**
 * The floor: the least that a Deno program can do with Home Assistant's events. WebSocket → line
 * protocol → store, without durability, validation, names of the registries or a second process.
 * `floor.ts HASS_URL HASS_TOKEN WRITE_URL [AUTHORIZATION]`
 */
const BATCH_LINES = 5_000;

interface State {
  readonly state: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly last_updated: string;
}

/** What is read of a message; nothing makes sure that it is so. */
interface EventMessage {
  readonly event?: { readonly data: { readonly entity_id: string; readonly new_state?: State } };
}

function escaped(text: unknown): string {
  return String(text).replace(/[ ,=]/g, "\\$&");
}

/** A state as a line, its time in nanoseconds. */
export function floorLine(entityId: string, { state, attributes, last_updated }: State): string {
  let tags = "";
  let fields = `value=${Number(state)}`;
  for (const name in attributes) {
    const value = attributes[name];
    if (typeof value === "number") fields += `,${name}=${value}`;
    else tags += `,${name}=${escaped(value)}`;
  }
  // Home Assistant leaves out a fraction that is 0
  const us = last_updated.charAt(19) === "." ? last_updated.slice(23, 26) : "000";
  const ns = `${Date.parse(last_updated)}${us}000`;
  return `${entityId.slice(0, entityId.indexOf("."))},entity_id=${entityId}${tags} ${fields} ${ns}`;
}

function run([hassUrl = "", token, writeUrl = "", authorization = ""]: readonly string[]): void {
  const headers = new Headers(authorization ? { authorization } : {});
  const lines: string[] = [];
  let writing = false;
  const write = async () => {
    writing = true;
    while (lines.length > 0) {
      const body = lines.splice(0, BATCH_LINES).join("\n");
      const response = await fetch(writeUrl, { method: "POST", headers, body });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      await response.body?.cancel();
    }
    writing = false;
  };
  const socket = new WebSocket(`${hassUrl.replace("http", "ws")}/api/websocket`);
  const send = (message: object) => socket.send(JSON.stringify(message));
  socket.onopen = () => {
    send({ type: "auth", access_token: token });
    send({ id: 1, type: "supported_features", features: { coalesce_messages: 1 } });
    send({ id: 2, type: "subscribe_events" });
  };
  socket.onmessage = ({ data }) => {
    const messages: EventMessage | EventMessage[] = JSON.parse(data);
    for (const { event } of Array.isArray(messages) ? messages : [messages]) {
      const state = event?.data.new_state;
      if (event && state) lines.push(floorLine(event.data.entity_id, state));
    }
    if (!writing) void write();
  };
}

if (import.meta.main) run(Deno.args);
