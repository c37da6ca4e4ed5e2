/** What a request carries. */
import { HTTPException } from "hono/http-exception";
import { parseJson } from "../json_text.ts";
import { describeError } from "../retry.ts";

/**
 * The body as text, refused above the limit by its Content-Length at once, else as it comes.
 * Not hono's bodyLimit: that waits without end for a body that is sent in chunks.
 *
 * Throws HTTPException 413, 408 where it has not come in time, 400 where it is no UTF-8.
 */
export async function readBody(
  request: Request,
  { maxBytes, deadlineMs }: { maxBytes: number; deadlineMs: number },
): Promise<string> {
  const tooLarge = () =>
    new HTTPException(413, { message: `The body must not be above ${maxBytes} bytes` });
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge();
  const reader = request.body?.getReader();
  if (!reader) return "";
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    reader.cancel().catch(() => {});
  }, deadlineMs);
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let text = "";
    let bytes = 0;
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        // it was cut off, or its chunks are none: what the client did must not count as a fault of ours
        throw new HTTPException(400, { message: "The body ended before its end" });
      });
      if (late) {
        throw new HTTPException(408, {
          message: `The body did not come within ${deadlineMs / 1000} s`,
        });
      }
      if (done) return text + decoder.decode();
      bytes += value.byteLength;
      if (bytes > maxBytes) throw tooLarge();
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof TypeError) {
      throw new HTTPException(400, { message: "The body is no UTF-8" });
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** What the body says. Throws HTTPException 400 where it is no JSON. */
export function jsonIn(body: string): unknown {
  try {
    return parseJson(body);
  } catch (error) {
    throw new HTTPException(400, { message: `The body is no JSON: ${describeError(error)}` });
  }
}

/**
 * What a body of the type application/json says: a form of a web page cannot send that type without
 * the browser asking first. Throws HTTPException as `readBody` and `jsonIn`, and 415 for another type.
 */
export async function readJson(
  request: Request,
  limits: { maxBytes: number; deadlineMs: number },
): Promise<unknown> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new HTTPException(415, {
      message: `Content-Type must be application/json, not ${type ?? "absent"}`,
    });
  }
  return jsonIn(await readBody(request, limits));
}
