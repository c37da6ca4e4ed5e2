import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { openSocket } from "../../../lib/ingest/hass/frame_socket.ts";
import { until } from "../../until.ts";

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

function work(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

/** Reads so many frames, with a timer beside it. Returns how many turns that had. */
async function readBeside(url: string, count: number, beside: () => void): Promise<number> {
  const ended = Promise.withResolvers<string>();
  let [frames, turns] = [0, 0];
  const timer = setInterval(() => {
    turns++;
    beside();
  }, 1);
  openSocket({ url: `${url}/${count}` }, {
    onFrame: (frame: unknown) => {
      assert.equal(typeof frame, "string");
      frames++;
      work(WORK_MS);
    },
    onEnd: ended.resolve,
  });
  await ended.promise;
  clearInterval(timer);
  assert.equal(frames, count);
  return turns;
}

Deno.test("While frames come faster than they are worked on, the rest of the program has its turns", async () => {
  await flooded(async (url) => {
    const turns = await readBeside(url, 4_000, () => {});
    // 240 are due; 17 were seen where frames had no end
    assert.ok(turns >= 60, `${turns} turns`);
  });
});

Deno.test("Where the rest of the program takes long, as at a slow disk, frames have an eighth of that", async () => {
  await flooded(async (url) => {
    const turns = await readBeside(url, 2_000, () => work(60));
    // 0.6 s of frames in parts of 8 ms, with two turns behind each: 240 turns where they had 5 ms each,
    // and 80 where frames came in the turn of what took long
    assert.ok(turns >= 110 && turns <= 200, `${turns} turns`);
  });
});

Deno.test("A socket that is closed in a flood ends, though frames still come", async () => {
  await flooded(async (url) => {
    let frames = 0;
    const enough = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<string>();
    const socket = openSocket({ url: `${url}/1000000` }, {
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

/** Closes sockets in the very turn in which a WebSocket that was opened before each has opened, or failed. */
async function closedAsItOpens(url: string): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const before = new WebSocketStream(url);
    before.closed.catch(() => {});
    const socket = openSocket({ url }, { onFrame() {}, onEnd() {} });
    const close = () => socket.close();
    await before.opened.then(close, close);
    try {
      before.close();
    } catch {
      // it has failed
    }
  }
}

Deno.test("A socket that is closed as it fails ends, and throws nothing", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await closedAsItOpens(`ws://127.0.0.1:${port}/`);
});

Deno.test("A socket that is closed as it opens does not stay open", async () => {
  let [opened, open] = [0, 0];
  const answer = (request: Request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => (opened++, open++);
    socket.onclose = () => open--;
    return response;
  };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  await closedAsItOpens(`ws://127.0.0.1:${server.addr.port}/`);
  await until(() => opened >= 20 && open === 0, "all are closed", { limitMs: 30_000 });
});
