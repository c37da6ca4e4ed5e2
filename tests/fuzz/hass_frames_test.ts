import fc from "fast-check";
import assert from "node:assert/strict";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { HOUSE } from "../simulator/sample_house.ts";
import { FakeEnrich } from "../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { type Program, startIngest } from "../whole_programs.ts";
import { FrameRelay } from "./frame_relay.ts";
import { oddJson, runs, SEED, spoilt } from "./fuzz_runs.ts";

const MEGABYTE = 1_048_576;
interface Hearing {
  readonly hass: SimulatedHomeAssistant;
  readonly relay: FrameRelay;
  readonly ingest: Program;
  readonly enrich: FakeEnrich;
}

/** Ingest, with a relay to a house; what hangs is found out while the test waits. */
async function hearing(test: (hearing: Hearing) => Promise<void>): Promise<void> {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ house: HOUSE, recorder: false }).start();
  await using relay = new FrameRelay(hass.url);
  await using enrich = new FakeEnrich();
  await using ingest = await startIngest({
    HASS_URL: relay.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
    BACKFILL_DAYS: "0",
    SNAPSHOT_MINUTES: "0",
  });
  await capturing(ingest);
  await test({ hass, relay, ingest, enrich });
  await stillHears({ hass, relay, ingest, enrich });
}

async function capturing(ingest: Program): Promise<void> {
  await until(
    async () => (await (await ingest.get("/status")).json()).home_assistant.kind === "capturing",
    "it captures",
  );
}

/** An event that is fired now is delivered, and the equation holds. */
async function stillHears({ hass, ingest, enrich }: Hearing): Promise<void> {
  const mark = crypto.randomUUID();
  await until(
    async () => {
      await capturing(ingest);
      hass.fire("mark", { mark });
      return enrich.stored.some((line) => line.includes(mark));
    },
    "an event is delivered",
    { everyMs: 200 },
  );
  await ingest.metrics();
}

const STATE =
  '{"event_type":"state_changed","data":{"entity_id":"sensor.a","old_state":null,"new_state":{' +
  '"entity_id":"sensor.a","state":"1","attributes":{"friendly_name":"A","unit_of_measurement":"W"},' +
  '"last_changed":"2026-06-25T21:20:05.1+00:00","last_updated":"2026-06-25T21:20:05.1+00:00",' +
  '"context":{"id":"01","parent_id":null,"user_id":null}}},"origin":"LOCAL",' +
  '"time_fired":"2026-06-25T21:20:05.1+00:00","context":{"id":"01","parent_id":null,"user_id":null}}';
const REGISTRY =
  '{"event_type":"entity_registry_updated","data":{"action":"update","entity_id":"light.x",' +
  '"changes":{"name":null}},"origin":"LOCAL","time_fired":"2026-06-25T21:20:05.1+00:00"}';

/** Messages that Home Assistant sends, or nearly. */
const message = fc.oneof(
  fc.constantFrom(STATE, REGISTRY).map((event) => `{"type":"event","event":${event},"id":2}`),
  fc.tuple(
    fc.constantFrom("pong", "event", "result", "auth_ok", "auth_invalid2", ""),
    oddJson,
    oddJson,
  )
    .map(([type, id, other]) =>
      `{"id":${id},"type":"${type}","event":${other},"success":true,"result":${other}}`
    ),
  fc.nat({ max: 30 }).map((id) => `{"id":${id},"type":"result","success":true,"result":null}`),
  fc.tuple(fc.nat({ max: 30 }), oddJson).map(([id, error]) =>
    `{"id":${id},"type":"result","success":false,"error":${error}}`
  ),
  oddJson.map((data) => `{"type":"event","event":{"event_type":"a","data":${data}},"id":2}`),
  oddJson.map((state) => `{"type":"event","event":${STATE.replace('"1"', () => state)},"id":2}`),
);
const frame = fc.oneof(
  message,
  fc.array(message, { maxLength: 5 }).map((all) => `[${all.join(",")}]`),
);

Deno.test(`Ingest goes on and loses nothing behind frames that nobody should send (seed ${SEED})`, async () => {
  await hearing(async ({ relay }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(frame, spoilt(frame), fc.string({ unit: "binary" }), fc.uint8Array()),
        async (hostile) => {
          const bytes = typeof hostile === "string" ? hostile : Uint8Array.from(hostile);
          await until(() => relay.inject(bytes), "it is connected");
        },
      ),
      runs(400),
    );
  });
});

Deno.test("Frames of 60 MiB, of 10,000 levels or of 20,000 messages take nothing else with them", async () => {
  const event = (data: string) =>
    `{"type":"event","event":{"event_type":"big","data":${data}},"id":2}`;
  const hostile = [
    `"${"x".repeat(60 * MEGABYTE)}`,
    event(`{"a":"${"x".repeat(60 * MEGABYTE)}"}`),
    event("[".repeat(10_000) + "]".repeat(10_000)),
    event('{"a":'.repeat(10_000) + "1" + "}".repeat(10_000)),
    "[".repeat(MEGABYTE),
    `[${"0,".repeat(20_000)}0]`,
    `[${"{},".repeat(20_000)}{}]`,
    `[${`${event("1")},`.repeat(20_000)}${event("1")}]`,
  ];
  await hearing(async ({ relay, ingest, enrich }) => {
    for (const frame of hostile) await until(() => relay.inject(frame), "it is connected");
    await until(() => enrich.stored.length > 20_003, "all that are events are delivered");
    assert.ok(enrich.stored.some((line) => line.length > 60 * MEGABYTE));
    await ingest.metrics();
  });
});

Deno.test(`Ingest is well again once Home Assistant answers as it should (seed ${SEED})`, async () => {
  await hearing(async ({ relay, hass, ingest }) => {
    const random = fc.sample(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), oddJson),
      runs(200),
    );
    let n = 0;
    relay.changing = (text) => {
      const [part, value] = random[n++ % random.length] ?? [0, "null"];
      // what it says at the beginning decides whether it is heard at all
      if (part < 0.3 || text.length < 200) return text;
      // a value somewhere in it
      const values = [
        ...text.matchAll(/(?<=[:[,]\s*)(?:"(?:[^"\\]|\\.)*"|-?\d+|null|true|false)(?=\s*[,\]}])/g),
      ];
      const { index = 0, 0: old = "" } = values[Math.floor(part * values.length)] ?? [];
      return text.slice(0, index) + value + text.slice(index + old.length);
    };
    for (let round = 0; round < 3; round++) {
      // a connection that Home Assistant has not taken yet cannot be cut, and changes nothing
      await until(() => hass.subscriberCount > 0, "it has subscribed");
      for (let i = 0; i < 20; i++) hass.fire("changed", { i });
      hass.cutClients();
      await until(() => relay.connections > round + 1, "it has connected again");
    }
    relay.changing = (text) => text;
    assert.ok((await ingest.get("/health/live")).ok);
  });
});
