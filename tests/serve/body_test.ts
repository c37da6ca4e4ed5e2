import assert from "node:assert/strict";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { jsonIn, readBody } from "../../lib/serve/body.ts";

/** Posts to a route that answers with the body that it has read. */
function post(init: RequestInit): Response | Promise<Response> {
  const app = new Hono();
  const limits = { maxBytes: 10, deadlineMs: 100 };
  app.post("/", async (c) => c.text(await readBody(c.req.raw, limits)));
  return app.request("/", { method: "POST", ...init });
}

Deno.test("readBody refuses a body above the limit, told or untold", async () => {
  assert.equal(
    await (await post({ body: "ten bytes!" })).text(),
    "ten bytes!",
  );
  const told = { "content-length": "11" };
  assert.equal(
    (await post({ body: "x".repeat(11), headers: told })).status,
    413,
  );
  const stream = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 11; i++) controller.enqueue(new Uint8Array([120]));
      controller.close();
    },
  });
  assert.equal((await post({ body: stream })).status, 413);
});

Deno.test("readBody does not wait forever for a body, nor take one that is no UTF-8", async () => {
  const never = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
  assert.equal((await post({ body: never })).status, 408);
  const invalid = await post({ body: new Uint8Array([0xff]) });
  assert.equal(invalid.status, 400);
});

Deno.test("readBody says of a body that was cut off that it is the request's fault", async () => {
  const cutOff = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("underlying resource unavailable")),
  });
  const answer = await post({ body: cutOff });
  assert.equal(answer.status, 400);
  assert.equal(await answer.text(), "The body ended before its end");
});

Deno.test("jsonIn says what is wrong with a body that is no JSON", () => {
  assert.deepEqual(jsonIn('{"a": [1]}'), { a: [1] });
  assert.throws(
    () => jsonIn("{a"),
    (error) =>
      error instanceof HTTPException && error.status === 400 && /no JSON/.test(error.message),
  );
});
