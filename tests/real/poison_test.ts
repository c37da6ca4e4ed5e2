import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { allStored, FakeEnrich } from "../stand_ins/fake_enrich.ts";
import { until } from "../until.ts";
import { total } from "./parts/metrics_text.ts";
import { type Program, startEnrich, startIngest } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const HASTY = new URL("parts/hasty_delivery.ts", import.meta.url).pathname;
const POISONED = new URL("parts/poisoned_enrich.ts", import.meta.url).pathname;

const letterPage = z.object({
  total: z.number(),
  letters: z.array(z.object({ event_type: z.string(), reason: z.string() })),
});

/** What keeps enrich running: it is started again where it has ended, or does not answer. */
class Supervisor implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;

  constructor(enrich: Program) {
    this.#watching = this.#watch(enrich);
  }

  async #watch(enrich: Program): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // it may hang before it has ever answered: ingest is faster than this one then
      const hangs = await fetch(`${enrich.url}/health/live`, { signal: AbortSignal.timeout(2_000) })
        .then(
          (response) => response.body?.cancel().then(() => false),
          (error) => error instanceof Error && error.name === "TimeoutError",
        );
      if (hangs || !enrich.running) {
        await enrich.kill();
        enrich.beginAgain();
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }
}

/** A house fires one poisoned event among others, and goes on talking until that one is a dead letter. */
async function poison(
  enrichUrl: string,
  text: string,
  isStored: (mark: string) => boolean | Promise<boolean>,
): Promise<string> {
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    ENRICHMENT_SERVICE_URL: enrichUrl,
  }, { preload: HASTY });
  await until(
    () => ingest.output.includes("Capturing all events"),
    "it captures",
  );
  let marks = 0;
  const fire = () => hass.fire("mark", { mark: `mark-${marks++}-` });
  for (let i = 0; i < 50; i++) fire();
  hass.fire("poisoned", { text });
  for (let i = 0; i < 50; i++) fire();
  const beganMs = performance.now();
  let storedMs: number | undefined;
  const { letters } = await until(
    async () => {
      fire();
      if (storedMs === undefined && await isStored("mark-50-")) storedMs = performance.now();
      const page = letterPage.parse(await (await fetch(`${ingest.url}/dead-letters`)).json());
      return page.total > 0 && page;
    },
    "it is a dead letter",
    { everyMs: 200 },
  );
  assert.deepEqual(letters.map(({ event_type }) => event_type), ["poisoned"]);
  const buriedS = (performance.now() - beganMs) / 1_000;
  for (let i = 0; i < marks; i++) {
    const mark = `mark-${i}-`;
    await until(() => isStored(mark), `${mark} is stored`);
  }
  await until(
    async () => total(await ingest.metrics(), "ingest_events_queued") === 0,
    "nothing waits",
  );
  const behindS = storedMs === undefined ? Infinity : (storedMs - beganMs) / 1_000;
  const [letter] = letters;
  measured(
    `an event with which enrich ${text}: the one behind it stored after ${behindS.toFixed(1)} s, ` +
      `it a dead letter after ${buriedS.toFixed(1)} s: ${letter?.reason}`,
  );
  // one that is refused at once is so with its batch
  if (buriedS > 1) assert.ok(behindS < buriedS, "the one behind it is stored meanwhile");
  return letter?.reason ?? "";
}

for (
  const [does, reason] of [
    ["die", /^failed 10 times alone, while others passed/],
    ["loop", /^failed 10 times alone, while others passed/],
    ["throw", /Maximum call stack size exceeded/],
  ] as const
) {
  realTest(
    `An event at which enrich would ${does} becomes a dead letter, and all others are stored`,
    async () => {
      await using enrich = await startEnrich({}, { preload: POISONED });
      await using _supervisor = new Supervisor(enrich);
      const isStored = (mark: string) => stored(enrich, mark);
      assert.match(await poison(enrich.url, `poison: ${does}`, isStored), reason);
    },
  );
}

function stored(enrich: Program, mark: string): boolean {
  using db = new DatabaseSync(`${enrich.dir}/data/store.sqlite`, { readOnly: true });
  return db.prepare("SELECT 1 FROM point WHERE fields LIKE ?").get(`%"${mark}"%`) !== undefined;
}

for (
  const [does, answer] of [
    ["answers 500", () => Promise.resolve(Response.json({ detail: "no" }, { status: 500 }))],
    [
      "never answers",
      (ends: AbortSignal) =>
        new Promise<Response>((resolve) =>
          ends.addEventListener("abort", () => resolve(new Response()))
        ),
    ],
  ] as const
) {
  realTest(
    `An event at which an enrich ${does} becomes a dead letter, and all others are stored`,
    async () => {
      const end = new AbortController();
      await using enrich = new FakeEnrich((lines) =>
        lines.some((line) => line.includes("poison: ")) ? answer(end.signal) : allStored(lines)
      );
      using _end = { [Symbol.dispose]: () => end.abort() };
      const isStored = (mark: string) => enrich.stored.some((line) => line.includes(mark));
      const reason = await poison(enrich.url, `poison: ${does}`, isStored);
      assert.match(reason, /^failed 10 times alone, while others passed/);
    },
  );
}
