/** A worker: a server that sends as many frames as its path says, as fast as they are taken. Posts its URL. */
import { parentPort } from "node:worker_threads";

const BUFFERED_BYTES = 4_000_000;

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  let left = Number(new URL(request.url).pathname.slice(1));
  const frame = JSON.stringify({ text: "x".repeat(1_000) });
  const send = () => {
    if (socket.readyState !== WebSocket.OPEN) return;
    while (left > 0 && socket.bufferedAmount < BUFFERED_BYTES) {
      socket.send(frame);
      left--;
    }
    if (left > 0) setTimeout(send, 1);
    else socket.close();
  };
  socket.onopen = send;
  return response;
});
parentPort?.postMessage(`ws://127.0.0.1:${server.addr.port}`);
