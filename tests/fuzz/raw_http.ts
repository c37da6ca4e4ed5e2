/** An HTTP request as bytes, which no client would send, and what comes of it. */
const ANSWER_MS = 20_000;

export interface RawAnswer {
  /** Undefined where the server hangs up without a word. */
  readonly status: number | undefined;
  readonly text: string;
}

/**
 * Sends the bytes, ends its side unless that is not wanted, and reads the answer. Throws where the
 * server neither answers nor hangs up.
 */
export async function rawRequest(
  url: string,
  bytes: Uint8Array | string,
  { ends = true } = {},
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    conn.close();
  }, ANSWER_MS);
  try {
    const sending = send(conn, bytes, ends);
    const text = await readAnswer(conn);
    // what of a large body is not taken any more
    if (isWhole(text)) conn.close();
    await sending;
    if (isLate) throw new Error(`Nothing within ${ANSWER_MS / 1000} s: ${text}`);
    const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
    return { status: status === undefined ? undefined : Number(status), text };
  } finally {
    clearTimeout(timer);
    try {
      conn.close();
    } catch {
      // it is
    }
  }
}

/** Whether the answer says how long it is, and has come. */
function isWhole(text: string): boolean {
  const at = text.indexOf("\r\n\r\n");
  if (at === -1 || /^HTTP\/1\.1 1/.test(text)) return false;
  const length = /^content-length: (\d+)$/im.exec(text.slice(0, at).replaceAll("\r", ""))?.[1];
  return length !== undefined &&
    new TextEncoder().encode(text.slice(at + 4)).length >= Number(length);
}

/** Of a server that has heard enough the rest is not taken. */
async function send(conn: Deno.Conn, bytes: Uint8Array | string, ends: boolean): Promise<void> {
  const all = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  try {
    for (let at = 0; at < all.length;) at += await conn.write(all.subarray(at));
    if (ends) await conn.closeWrite();
  } catch {
    // told by what it answers
  }
}

async function readAnswer(conn: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  try {
    for (let n: number | null; !isWhole(text) && (n = await conn.read(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, n), { stream: true });
    }
  } catch {
    // reset
  }
  return text;
}
