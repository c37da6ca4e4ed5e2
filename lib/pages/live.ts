/** What a page shows, as server-sent events, to everybody who watches; without a viewer nothing is done. */
import { getLogger, redactedJson } from "../log.ts";
import { describeError } from "../retry.ts";
import { failure, type PageSource } from "../serve/server.ts";

/** Streams at once; each takes some kilobytes a second. */
const MAX_VIEWERS = 16;
const NOW_MS = 1_000;
/** What costs more than reading some numbers comes every so many times. */
const PAST_EVERY = 10;
/** What a viewer has not taken yet; above it, it misses some. */
const MAX_WAITING_BYTES = 1_000_000;
const STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // a proxy that collects an answer before it passes it on would show nothing
  "x-accel-buffering": "no",
};

export class Live {
  readonly #source: PageSource;
  readonly #stopping: AbortSignal;
  readonly #viewers = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #ticks = 0;

  /** Ends its streams when the signal is aborted. */
  constructor(source: PageSource, stopping: AbortSignal) {
    this.#source = source;
    this.#stopping = stopping;
    stopping.addEventListener("abort", () => this.#end(), { once: true });
  }

  /** A stream of the events `now`, each second, and `past`, every ten; 503 where too many watch. */
  open(method: string): Response {
    // of a stream whose body nobody takes Deno never says that it has ended
    if (method === "HEAD") return new Response(null, { headers: STREAM_HEADERS });
    if (this.#viewers.size >= MAX_VIEWERS || this.#stopping.aborted) {
      return failure(503, "Too many pages are open: close one", undefined, { "retry-after": "10" });
    }
    let viewer: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        viewer = controller;
        this.#viewers.add(viewer);
        this.#timer ??= setInterval(() => this.#tick(), NOW_MS);
        this.#tell([viewer], "now", this.#source.now);
        this.#tell([viewer], "past", this.#source.past);
      },
      cancel: () => this.#leave(viewer),
    }, new ByteLengthQueuingStrategy({ highWaterMark: MAX_WAITING_BYTES }));
    return new Response(body, { headers: STREAM_HEADERS });
  }

  #tick(): void {
    this.#tell(this.#viewers, "now", this.#source.now);
    if (++this.#ticks % PAST_EVERY === 0) this.#tell(this.#viewers, "past", this.#source.past);
  }

  async #tell(
    viewers: Iterable<ReadableStreamDefaultController<Uint8Array>>,
    event: string,
    read: () => unknown,
  ): Promise<void> {
    try {
      const data = redactedJson(await read());
      const bytes = new TextEncoder().encode(`event: ${event}\ndata: ${data}\n\n`);
      for (const viewer of viewers) {
        if (this.#viewers.has(viewer) && (viewer.desiredSize ?? 0) > 0) viewer.enqueue(bytes);
      }
    } catch (error) {
      // the page shows that nothing comes; the program's work goes on
      getLogger(this.#source.name, "page").error("Cannot tell the page: {reason}", {
        reason: describeError(error),
      });
    }
  }

  #leave(viewer: ReadableStreamDefaultController<Uint8Array>): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #end(): void {
    for (const viewer of [...this.#viewers]) {
      this.#leave(viewer);
      viewer.close();
    }
  }
}
