import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { openSocket } from "../../../lib/ingest/hass/frame_socket.ts";

const MESSAGES = 4_000;
/** Milliseconds of work a message. */
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

function work(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

/** Reads all messages, in so many frames, with a timer beside it. Returns how many turns that had. */
async function readBeside(
  url: string,
  beside: () => void,
  { frames = MESSAGES, chars = 1_000 } = {},
): Promise<number> {
  const ended = Promise.withResolvers<string>();
  let [messages, turns] = [0, 0];
  const timer = setInterval(() => {
    turns++;
    beside();
  }, 1);
  openSocket({ url: `${url}/${frames}/${chars}` }, {
    *onFrame(frame: unknown) {
      assert.equal(typeof frame, "string");
      for (let i = 0; i < MESSAGES / frames; i++) {
        messages++;
        work(WORK_MS);
        yield;
      }
    },
    onEnd: ended.resolve,
  });
  await ended.promise;
  clearInterval(timer);
  assert.equal(messages, MESSAGES);
  return turns;
}

Deno.test("While frames come faster than they are worked on, the rest of the program has its turns", async () => {
  await flooded(async (url) => {
    const turns = await readBeside(url, () => {});
    // 240 are due; 17 were seen where frames had no end
    assert.ok(turns >= 60, `${turns} turns`);
  });
});

Deno.test("Between the messages of one frame, too, the rest of the program has its turns", async () => {
  await flooded(async (url) => {
    const turns = await readBeside(url, () => {}, { frames: 1 });
    assert.ok(turns >= 60, `${turns} turns`);
  });
});

Deno.test("Where the rest of the program takes long, as at a slow disk, frames have as long", async () => {
  await flooded(async (url) => {
    const turns = await readBeside(url, () => work(60));
    // 1.2 s of frames: 240 turns where they had 5 ms each
    assert.ok(turns <= 120, `${turns} turns`);
  });
});

Deno.test("Where frames are long, for hundreds of messages waited, they have three times as long", async () => {
  await flooded(async (url) => {
    const turnsAt = (chars: number) => readBeside(url, () => work(30), { frames: 20, chars });
    const turns = await turnsAt(100_000);
    const turnsOfLong = await turnsAt(1_000_000);
    assert.ok(turnsOfLong <= turns / 2, `${turnsOfLong} turns, and ${turns} of short ones`);
  });
});

Deno.test("A socket that is closed in a flood ends, though frames still come", async () => {
  await flooded(async (url) => {
    let frames = 0;
    const enough = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<string>();
    const socket = openSocket({ url: `${url}/1000000/1000` }, {
      *onFrame() {
        if (++frames === 100) enough.resolve();
        yield;
      },
      onEnd: ended.resolve,
    });
    await enough.promise;
    socket.close();
    await ended.promise;
    assert.ok(frames < 1_000_000);
  });
});
