/** The way to Home Assistant: where it is, whom to trust, and what a proxy before it asks for. */
import { clientTrusting } from "../../certificates.ts";
import { webSocketUrl } from "./protocol.ts";

/** What is read again for each connection may throw an Error that names the setting. */
export interface HassAccess {
  /** Of the WebSocket. */
  readonly url: string;
  /** PEM text of certificate authorities to trust besides the usual ones. */
  readonly caCert?: () => string;
  /** What is sent besides, by lower-case names. */
  readonly headers?: () => ReadonlyMap<string, string>;
}

export interface HassAccessSettings {
  readonly hassUrl: string;
  readonly hassCaCert?: HassAccess["caCert"];
  readonly hassHeaders?: HassAccess["headers"];
}

export function accessOf({ hassUrl, hassCaCert, hassHeaders }: HassAccessSettings): HassAccess {
  return { url: webSocketUrl(hassUrl), caCert: hassCaCert, headers: hassHeaders };
}

/** An answer to a request that is no WebSocket's. */
export interface HassAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Its beginning. */
  readonly body: string;
}

/** Where the WebSocket is when it is asked for without being one. */
export function plainUrl({ url }: HassAccess): URL {
  return new URL(url.replace(/^ws/, "http"));
}

/**
 * Asks for the WebSocket without opening it: no other path can be asked without a token, and not
 * count as a failed login. Throws what access throws, and what fetch throws where nothing answers.
 */
export async function askPlainly(access: HassAccess, signal: AbortSignal): Promise<HassAnswer> {
  const headers = new Headers([...access.headers?.() ?? []]);
  const pem = access.caCert?.();
  const client = pem === undefined ? undefined : clientTrusting(pem);
  try {
    const response = await fetch(plainUrl(access), {
      headers,
      redirect: "manual",
      signal,
      ...(client && { client }),
    });
    const body = await beginningOf(response);
    // read behind the body, so that the response outlives it: once Deno 2.9.6 has collected a response,
    // no signal ends the reading of its body
    const { status, headers: answered } = response;
    return { status, headers: answered, body };
  } finally {
    client?.close();
  }
}

/** Home Assistant's own has 23. */
const MAX_BODY_CHARS = 10_000;

/** What answers may be a camera or a download, and have no end. */
async function beginningOf({ body }: Response): Promise<string> {
  let text = "";
  for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length >= MAX_BODY_CHARS) break;
  }
  return text;
}
