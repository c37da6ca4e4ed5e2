import assert from "node:assert/strict";
import type { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { capturing, change, complete, connected, simulated, spooled } from "./capturing_house.ts";

const DAY_S = 86_400;

/** What is said to be missing for good of a gap in which that happens. */
async function unfilledAfter(
  hass: SimulatedHomeAssistant,
  inGap: () => void,
  before = () => {},
): Promise<Record<string, number>> {
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture, outbox) => {
    await connected(capture);
    await complete(capture);
    change(hass, 14);
    before();
    await spooled(hass, outbox);
  });
  hass.recorder.hold();
  hass.recorder.release();
  await until(() => hass.subscriberCount === 0, "nobody listens");
  inGap();
  return await capturing(hass, folder, async (capture) => {
    await connected(capture);
    await complete(capture);
    return Object.fromEntries(capture.filling.gaps.unfilledByReason);
  });
}

Deno.test("What the recorder lost of an entity that it records is said to be lost, the present state too", async () => {
  await using hass = simulated({ commitIntervalMs: 1e9 });
  const unfilled = await unfilledAfter(hass, () => {
    change(hass, 7, 20);
    hass.recorder.loseQueued();
  });
  assert.deepEqual(unfilled, { "lost by the recorder": 7 });
});

Deno.test("What the recorder has never had is said to be not recorded", async () => {
  await using hass = simulated({ commitIntervalMs: 1e9, recorder: false });
  const unfilled = await unfilledAfter(hass, () => change(hass, 7, 20));
  assert.deepEqual(unfilled, { "not recorded": 7 });
});

Deno.test("Of a gap that began before the recorder's oldest row it is said that it is older than that", async () => {
  await using hass = simulated();
  const unfilled = await unfilledAfter(hass, () => {
    change(hass, 7, 20);
    hass.clock.offsetSeconds = 12 * DAY_S;
    hass.recorder.purge(hass.clock.seconds - 10 * DAY_S);
    change(hass, 3, 40);
  });
  // the others did not change again: of them the recorder has nothing at all
  assert.deepEqual(unfilled, { "older than the recorder keeps": 7 });
});

Deno.test("An entity that was quiet for longer than the recorder keeps lacks nothing", async () => {
  await using hass = simulated();
  const unfilled = await unfilledAfter(hass, () => change(hass, 7, 40), () => {
    hass.clock.offsetSeconds = 12 * DAY_S;
    hass.recorder.purge(hass.clock.seconds - 10 * DAY_S);
    hass.setState("sensor.lively", "1");
  });
  assert.deepEqual(unfilled, {});
});

Deno.test("An import says of nothing that it is older than the recorder keeps", async () => {
  await using hass = simulated();
  change(hass, 50);
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (capture) => {
    await connected(capture);
    await complete(capture);
    assert.ok(capture.filling.rows > 0);
    assert.equal(capture.filling.gaps.unfilledByReason.size, 0);
  }, { importDays: 10 });
});

Deno.test("Nor does an import that was begun when ingest was stopped", async () => {
  await using hass = simulated();
  // so many that they are not all compared while nobody takes them
  for (let i = 0; i < 700; i++) hass.setState(`sensor.number_${i}`, "1");
  using folder = new TemporaryFolder();
  await capturing(hass, folder, async (_, outbox) => {
    await until(() => outbox.chain.opened?.importDays !== undefined, "the import has begun");
  }, { importDays: 10, drains: false });
  change(hass, 14, 70);
  await capturing(hass, folder, async (capture) => {
    await connected(capture);
    await complete(capture);
    const { gaps, rows } = capture.filling;
    assert.ok(rows > 0);
    assert.deepEqual(gaps.report().map(({ state }) => state), ["filled"]);
    assert.deepEqual(Object.fromEntries(gaps.unfilledByReason), {});
  }, { importDays: 10 });
});
