import assert from "node:assert/strict";
import { connect } from "node:net";
import { SimulatedHomeAssistant } from "./home_assistant.ts";
import { WebSocketClient } from "./websocket_client.ts";

const STATES = 20;
const LONG = "x".repeat(5_000);

Deno.test("A slow link takes its time for a large frame, while bytes arrive", async () => {
  await using ha = new SimulatedHomeAssistant().start();
  for (let i = 0; i < STATES; i++) ha.setState(`sensor.s_${i}`, "1", { LONG });
  const timed = async (): Promise<number> => {
    await using client = await WebSocketClient.subscribe(ha);
    const begun = performance.now();
    const answer = await client.ask(3, "get_states");
    assert.equal(JSON.parse(answer).result.length, STATES);
    return performance.now() - begun;
  };
  const fast = await timed();
  ha.slowLink(200_000);
  const slow = await timed();
  // 100,000 bytes and more at 200,000 a second
  assert.ok(slow > 450, `${slow} ms; unlimited ${fast} ms`);
  ha.slowLink(undefined);
  assert.ok(await timed() < slow / 2);

  // the pieces: one frame in many reads
  while (ha.clients.length > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const arrivals: number[] = [];
  const socket = connect(ha.port, "127.0.0.1");
  socket.on("data", (data) => arrivals.push(data.length));
  socket.write(
    "GET /api/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" +
      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  while (ha.clients.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  ha.slowLink(200_000);
  ha.clients[0].send(JSON.stringify({ LONG: LONG.repeat(8) }));
  await ha.clients[0].sent();
  const received = () => arrivals.reduce((sum, length) => sum + length, 0);
  while (received() < 40_000) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.ok(arrivals.length >= 5, arrivals.join());
  socket.destroy();
});

Deno.test("A client that is cut off on a slow link is gone at once", async () => {
  await using ha = new SimulatedHomeAssistant().start();
  await using client = await WebSocketClient.subscribe(ha);
  ha.slowLink(1);
  ha.fire("large", { LONG });
  await new Promise((resolve) => setTimeout(resolve, 20));
  ha.cutClients();
  assert.equal((await client.ended).wasClean, false);
});
