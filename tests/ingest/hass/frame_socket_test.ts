import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { openSocket } from "../../../lib/ingest/hass/frame_socket.ts";

const FRAMES = 1_500;
/** Milliseconds of work a frame. */
const WORK_MS = 0.3;

/** Frames that come faster than they are worked on. */
async function flooded(test: (url: string) => Promise<void>): Promise<void> {
  const worker = new Worker(new URL("../../stand_ins/flooding_server.ts", import.meta.url));
  try {
    const [url] = await once(worker, "message");
    await test(url);
  } finally {
    await worker.terminate();
  }
}

function work(): void {
  const untilMs = performance.now() + WORK_MS;
  while (performance.now() < untilMs);
}

Deno.test("While frames come faster than they are worked on, the rest of the program has its turns", async () => {
  await flooded(async (url) => {
    const ended = Promise.withResolvers<string>();
    let frames = 0;
    let most = 0;
    let atLast = 0;
    const timer = setInterval(() => {
      most = Math.max(most, frames - atLast);
      atLast = frames;
    }, 1);
    const handlers = {
      onOpen: () => {},
      onFrame: (frame: unknown) => {
        assert.equal(typeof frame, "string");
        frames++;
        work();
      },
      onEnd: ended.resolve,
    };
    openSocket({ url: `${url}/${FRAMES}` }, handlers);
    await ended.promise;
    clearInterval(timer);
    assert.equal(frames, FRAMES);
    // a turn is due after 17 of them
    assert.ok(most <= 50, `${most} frames without a turn`);
  });
});

Deno.test("A socket that is closed in a flood ends, though frames still come", async () => {
  await flooded(async (url) => {
    let frames = 0;
    const enough = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<string>();
    const socket = openSocket({ url: `${url}/1000000` }, {
      onOpen: () => {},
      onFrame: () => {
        if (++frames === 100) enough.resolve();
      },
      onEnd: ended.resolve,
    });
    await enough.promise;
    socket.close();
    await ended.promise;
    assert.ok(frames < 1_000_000);
  });
});
