import assert from "node:assert/strict";
import { RegistryRefresh } from "../../../lib/ingest/capture/registry_refresh.ts";
import { HassClock } from "../../../lib/ingest/hass/hass_clock.ts";
import type { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { HOUSE } from "../../simulator/sample_house.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { type Capturing, capturing, connected, linesOf } from "./capturing.ts";

const FULL_OPTIONS = { maxBytes: 8_000_000 };

function fill(outbox: Outbox): void {
  while (!outbox.size.full) {
    outbox.add({ line: `{"event":{"x":"${"x".repeat(20_000)}"}}` });
    outbox.flush();
  }
}

function deliver(outbox: Outbox): string[] {
  const rows = outbox.waiting.peek({ maxEvents: 1_000_000, maxBytes: 1e12 });
  const done = rows.map(({ seq }) => seq);
  outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
  return rows.map(({ line }) => line);
}

const tells = (lines: readonly string[], area: string) =>
  lines.some((line) => line.includes('"via":"registry"') && line.includes(`"area":"${area}"`));

Deno.test("What the registries say while the outbox is full is spooled once there is room", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ recorder: false, house: HOUSE }).start();
  const [area] = HOUSE.areas;
  assert.ok(area);
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    await connected(setup);
    await until(() => setup.outbox.meta("registry") !== undefined, "the names are read");
    deliver(setup.outbox);
    fill(setup.outbox);
    hass.renameArea(area.area_id, "A new name");
    const named = ({ capture }: Capturing) =>
      HOUSE.entities.some(({ entity_id }) => capture.namesOf(entity_id)?.area === "A new name");
    await until(() => named(setup), "the new name is known");
    assert.ok(!tells(linesOf(setup), "A new name"), "there is no room for what it says");
    deliver(setup.outbox);
    await until(() => tells(linesOf(setup), "A new name"), "it is spooled");
  }, FULL_OPTIONS);
});

Deno.test("What the registries say while the outbox is full is not forgotten by a restart", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ recorder: false, house: HOUSE }).start();
  const [area] = HOUSE.areas;
  assert.ok(area);
  const path = folder.file("outbox.sqlite");
  await capturing(hass, path, async (setup) => {
    await connected(setup);
    await until(() => setup.outbox.meta("registry") !== undefined, "the names are read");
    fill(setup.outbox);
    hass.renameArea(area.area_id, "A new name");
    await until(
      () =>
        HOUSE.entities.some(({ entity_id }) =>
          setup.capture.namesOf(entity_id)?.area === "A new name"
        ),
      "the new name is known",
    );
    assert.ok(!tells(deliver(setup.outbox), "A new name"), "there was no room for what it says");
  }, FULL_OPTIONS);
  await capturing(hass, path, async (setup) => {
    await connected(setup);
    await until(() => tells(deliver(setup.outbox), "A new name"), "it is spooled");
  }, FULL_OPTIONS);
});

Deno.test("The registries and states of a large house are spooled in steps, in an outbox that never holds them all", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  const n = 6_000;
  for (let i = 0; i < n; i++) hass.setState(`sensor.s${i}`, "1", { text: "x".repeat(700) });
  const seen = new Set<string>();
  await capturing(hass, folder.file("outbox.sqlite"), async ({ outbox }) => {
    await until(() => {
      for (const line of deliver(outbox)) {
        const entityId = /"entity_id":"(sensor\.s\d+)"/.exec(line)?.[1];
        if (entityId) seen.add(entityId);
      }
      return seen.size === n;
    }, "every state is spooled");
    assert.equal(outbox.counters().dropped.get("outbox_full"), 0);
  }, FULL_OPTIONS);
});

Deno.test("What the registries say again is not written again", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ recorder: false, house: HOUSE }).start();
  const [area] = HOUSE.areas;
  assert.ok(area);
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    const { outbox } = setup;
    const written: string[] = [];
    const setMeta = outbox.setMeta.bind(outbox);
    outbox.setMeta = (key, value) => {
      if (key === "registry") written.push(value);
      setMeta(key, value);
    };
    await connected(setup);
    const { connection } = setup.capture;
    assert.ok(connection);
    const envelope = (event: string) => `{"event":${event}}`;
    const refresh = new RegistryRefresh(outbox, new HassClock(), envelope);
    await until(() => outbox.meta("registry") !== undefined, "the names are read");
    written.length = 0;
    for (let times = 0; times < 5; times++) assert.ok(await refresh.fetch(connection));
    hass.renameArea(area.area_id, "A new name");
    assert.ok(await refresh.fetch(connection));
    // what was read before is written before
    await until(() => outbox.meta("registry")?.includes("A new name"), "what is new is written");
    assert.deepEqual(written.map((text) => text.includes("A new name")), [true]);
  });
});
