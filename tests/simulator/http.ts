/** As much of HTTP/1.1 as a simulation needs: one request a connection. */
import { createHash } from "node:crypto";

/** A request, and what came behind its head. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  /** The body's text; empty for an upgrade. */
  readonly body: string;
  /** Bytes behind the request: the first frames of an upgraded connection. */
  readonly rest: Uint8Array<ArrayBuffer>;
}

/** An answer of the REST API: a JSON text, or plain text. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
};
const MAX_HEAD_BYTES = 65_536;

/** Reads one request; undefined where the connection ends before its end. */
export async function readRequest(
  conn: Deno.Conn,
): Promise<HttpRequest | undefined> {
  let bytes = new Uint8Array();
  let headEnd = -1;
  while ((headEnd = indexOfBlankLine(bytes)) === -1) {
    if (bytes.length > MAX_HEAD_BYTES) return undefined;
    const more = await readMore(conn);
    if (more === undefined) return undefined;
    bytes = concat([bytes, more]);
  }
  const [requestLine, ...lines] = new TextDecoder()
    .decode(bytes.subarray(0, headEnd)).split("\r\n");
  const [method, target] = requestLine.split(" ");
  const headers = new Headers(lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  }));
  const path = new URL(target, "http://localhost").pathname;
  bytes = bytes.slice(headEnd + 4);
  if (isUpgrade(headers)) {
    return { method, path, headers, body: "", rest: bytes };
  }
  const length = Number(headers.get("content-length") ?? 0);
  while (bytes.length < length) {
    const more = await readMore(conn);
    if (more === undefined) return undefined;
    bytes = concat([bytes, more]);
  }
  const body = new TextDecoder().decode(bytes.subarray(0, length));
  return { method, path, headers, body, rest: bytes.slice(length) };
}

/** Whether the request asks for a WebSocket. */
export function isUpgrade(headers: Headers): boolean {
  return headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** Accepts a WebSocket. permessage-deflate is not offered. */
export function acceptUpgrade(
  conn: Deno.Conn,
  headers: Headers,
): Promise<void> {
  const key = headers.get("sec-websocket-key") ?? "";
  const accept = createHash("sha1")
    .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  return writeText(
    conn,
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" +
      `Connection: upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
}

/** Writes an answer and says that the connection ends. */
export function writeAnswer(
  conn: Deno.Conn,
  { status, body, contentType = "application/json" }: HttpAnswer,
): Promise<void> {
  const length = new TextEncoder().encode(body).length;
  return writeText(
    conn,
    `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n` +
      `Content-Type: ${contentType}\r\nContent-Length: ${length}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}

/** The chunks as one array of bytes. */
export function concat(
  chunks: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(
    chunks.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

async function writeText(conn: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    at += await conn.write(bytes.subarray(at));
  }
}

async function readMore(conn: Deno.Conn): Promise<Uint8Array | undefined> {
  const chunk = new Uint8Array(16_384);
  const count = await conn.read(chunk);
  return count === null ? undefined : chunk.subarray(0, count);
}

function indexOfBlankLine(bytes: Uint8Array): number {
  for (let i = 0; i + 3 < bytes.length; i++) {
    if (
      bytes[i] === 13 && bytes[i + 1] === 10 && bytes[i + 2] === 13 &&
      bytes[i + 3] === 10
    ) return i;
  }
  return -1;
}
