/**
 * Preloaded into a program (`deno run --preload`): writes each turn of its event loop that takes
 * long to the file `turns` in its working directory, one a line: when it ended, in milliseconds
 * since 1970, and how many it took. Run by itself it is a program that does nothing, whose turns are
 * what the machine does to any program.
 */
const TICK_MS = 1;
/** Shorter ones are of no interest, and writing them down would make turns longer. */
const SHORTEST_MS = 3;

const file = Deno.openSync("turns", { create: true, append: true });
const encoder = new TextEncoder();
let sleptMs = performance.now();

function tick(): void {
  const nowMs = performance.now();
  // the timer itself comes after a tick
  const tookMs = nowMs - sleptMs - TICK_MS;
  if (tookMs >= SHORTEST_MS) {
    const endedMs = performance.timeOrigin + nowMs;
    file.writeSync(encoder.encode(`${endedMs.toFixed(1)} ${tookMs.toFixed(1)}\n`));
  }
  sleptMs = performance.now();
  const timer = setTimeout(tick, TICK_MS);
  // a program ends when it has nothing else to do
  if (!import.meta.main) Deno.unrefTimer(timer);
}

tick();
