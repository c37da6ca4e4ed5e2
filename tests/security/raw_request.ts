/** One HTTP request as it is written, on a socket of its own: with any method, and any Host or none. */

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  /** Host is the address that is asked, unless it is among them. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly version?: "1.0" | "1.1";
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** What has come of the body: of a stream the beginning. */
  readonly body: string;
}

/** Asks a program on that port of 127.0.0.1. Throws where what comes is no answer. */
export async function rawRequest(
  port: number,
  { method = "GET", path, headers = {}, body = "", version = "1.1" }: RawRequest,
): Promise<RawAnswer> {
  using socket = await Deno.connect({ hostname: "127.0.0.1", port });
  const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const lines = [
    `${method} ${path} HTTP/${version}`,
    ...(given.has("host") || version === "1.0" ? [] : [`Host: 127.0.0.1:${port}`]),
    ...(given.has("connection") ? [] : ["Connection: close"]),
    ...(body === "" && method !== "POST" ? [] : [`Content-Length: ${byteLength(body)}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  const request = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n${body}`);
  for (let sent = 0; sent < request.length;) sent += await socket.write(request.subarray(sent));
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    const read = await socket.read(buffer);
    if (read !== null) text += decoder.decode(buffer.subarray(0, read), { stream: true });
    const end = text.indexOf("\r\n\r\n");
    if (end === -1 && read !== null) continue;
    const answer = answerIn(text, end);
    const length = Number(answer.headers.get("content-length") ?? 0);
    const isWhole = method === "HEAD" || byteLength(answer.body) >= length;
    if (isWhole || read === null) return answer;
  }
}

function answerIn(text: string, end: number): RawAnswer {
  const [first = "", ...fields] = text.slice(0, Math.max(0, end)).split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})\b/.exec(first)?.[1];
  if (status === undefined) throw new Error(`This is no answer: ${JSON.stringify(text)}`);
  const headers = new Headers();
  for (const field of fields) {
    const [, name = "", value = ""] = /^([^:]+): *(.*)$/.exec(field) ?? [];
    headers.append(name, value);
  }
  return { status: Number(status), headers, body: text.slice(end + 4) };
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
