import assert from "node:assert/strict";
import * as z from "zod";
import { allStored, type Answering, FakeEnrich } from "../stand_ins/fake_enrich.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { until } from "../until.ts";
import { byReason, equationOf, total } from "./parts/metrics_text.ts";
import { type Environment, type Program, startIngest } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { SmallDisk } from "./parts/small_disk.ts";

/** What enrich has stored of states: entity and time. */
function storedStates({ stored }: FakeEnrich): ReadonlySet<string> {
  return new Set(stored.flatMap((line) => {
    const { event } = JSON.parse(line);
    return event.event_type === "state_changed"
      ? [`${event.data.entity_id} ${event.time_fired}`]
      : [];
  }));
}

/** A simulated house, an ingest whose outbox is on a disk of its own, and an enrich that answers so. */
async function onSmallDisk(
  resources: AsyncDisposableStack,
  answering: Answering,
  env: Environment = {},
) {
  const hass = resources.use(new SimulatedHomeAssistant().start());
  const enrich = resources.use(new FakeEnrich(answering));
  const disk = resources.use(await SmallDisk.mount(48));
  const ingest = resources.use(
    await startIngest({
      HASS_URL: hass.url,
      HASS_TOKEN: hass.token,
      ENRICHMENT_SERVICE_URL: enrich.url,
      DATA_DIR: disk.path,
      ...env,
    }, { writable: disk.path }),
  );
  return { hass, enrich, disk, ingest };
}

const statusSchema = z.object({
  home_assistant: z.object({ kind: z.string() }),
  outbox: z.object({ full: z.boolean(), fullness: z.number() }),
});

/** Waits until it captures: while enrich is away it is not ready. */
async function untilCapturing(ingest: Program): Promise<void> {
  await until(
    async () => statusSchema.parse(await ingest.status()).home_assistant.kind === "capturing",
    "it captures",
  );
}

realTest(
  "Ingest starts on a disk without a free byte, says so, and goes on when there is room",
  async () => {
    await using resources = new AsyncDisposableStack();
    const { hass, enrich, disk, ingest } = await onSmallDisk(
      resources,
      () => new Response("away", { status: 503 }),
    );
    await untilCapturing(ingest);
    const metric = async (name: string) => total(await ingest.metrics(), name);
    for (const end of ["stop", "kill"] as const) {
      enrich.answering = () => new Response("away", { status: 503 });
      const before = await metric("ingest_events_received_total");
      for (let n = 0; n < 500; n++) hass.setState(`sensor.s${n % 7}`, `${end} ${n}`, {});
      await until(
        async () => await metric("ingest_events_received_total") >= before + 500,
        "they are captured",
      );
      const waiting = await metric("ingest_events_queued");
      assert.ok(waiting >= 500);
      await ingest[end]();
      await disk.fill();
      await ingest.startAgain();
      for (let n = 0; n < 200; n++) hass.setState("sensor.late", `${end} ${n}`, {});
      await until(
        async () => /the disk of DATA_DIR is full: 0 bytes free/.test((await ingest.health()).text),
        `health says it after a ${end}`,
      );
      assert.equal(await metric("ingest_events_queued"), waiting, "what waits is there");
      const stored = enrich.stored.length;
      enrich.answering = (lines) => allStored(lines);
      await until(() => enrich.stored.length > stored, "what waits is sent");
      await disk.free();
      await ingest.untilReady();
      await until(
        async () => total(await ingest.metrics(), "ingest_events_queued") === 0,
        "nothing waits",
        { limitMs: 120_000 },
      );
      measured(`started on a full disk after a ${end}: ${equationOf(await ingest.metrics()).text}`);
    }
    await until(() => storedStates(enrich).size >= 1_400, "all states are stored", {
      limitMs: 120_000,
    });
    assert.equal(total(await ingest.metrics(), "ingest_events_dead_lettered"), 0);
  },
);

realTest(
  "A full outbox on a full disk drains once there is room, though one in five of its events is a problem",
  async () => {
    await using resources = new AsyncDisposableStack();
    const { hass, enrich, disk, ingest } = await onSmallDisk(
      resources,
      () => new Response("away", { status: 503 }),
      { OUTBOX_MAX_MB: "8" },
    );
    await untilCapturing(ingest);
    const metric = async (name: string) => total(await ingest.metrics(), name);
    let n = 0;
    await until(async () => {
      for (let i = 0; i < 200; i++) {
        hass.setState(`sensor.s${n % 7}`, String(n++), { text: "x".repeat(400) });
      }
      return await metric("ingest_outbox_full") === 1;
    }, "the outbox is full");
    const waiting = await metric("ingest_events_queued");
    await ingest.kill();
    await disk.fill();
    await ingest.startAgain();
    enrich.answering = (lines) => {
      const problems = lines.flatMap((_, index) =>
        index % 5 === 0 ? [{ index, reason: "field type conflict" }] : []
      );
      const stored = lines.length - problems.length;
      return allStored(lines, { status: "partial", stored, problems });
    };
    await until(
      async () => /there is no room to note it/.test((await ingest.health()).text),
      "enrich has answered, and the disk takes nothing",
    );
    assert.equal(await metric("ingest_events_queued"), waiting);
    await disk.free();
    await ingest.untilReady();
    await until(async () => await metric("ingest_events_queued") === 0, "it drains", {
      limitMs: 120_000,
    });
    const metrics = await ingest.metrics();
    measured(
      `a full outbox on a full disk: ${equationOf(metrics).text}, ` +
        JSON.stringify(byReason(metrics, "ingest_events_dropped_total")),
    );
    assert.ok(total(metrics, "ingest_events_dead_lettered") > waiting / 20);
  },
);
