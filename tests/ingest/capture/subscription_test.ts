import assert from "node:assert/strict";
import { REGISTRY_EVENTS } from "../../../lib/ingest/hass/protocol.ts";
import { CollectedLog } from "../../collected_log.ts";
import { HOUSE } from "../../simulator/sample_house.ts";
import type { SimulationOptions } from "../../simulator/home_assistant.ts";
import { RefusingHomeAssistant } from "../../stand_ins/refusing_home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { capturing, connected, hears, TIMES } from "./capturing.ts";

function started(options: SimulationOptions = {}): RefusingHomeAssistant {
  return new RefusingHomeAssistant({ recorder: false, house: HOUSE, ...options }).start();
}

Deno.test("A token that may not have some registry events captures all the rest", async () => {
  for (const refused of [...REGISTRY_EVENTS.map((name) => [name]), REGISTRY_EVENTS]) {
    using folder = new TemporaryFolder();
    await using hass = started();
    hass.refuses = ({ event_type }) =>
      refused.some((name) => name === event_type) ? "unauthorized" : undefined;
    await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
      await connected(setup);
      await hears(hass, setup, "sensor.heard");
      assert.equal(setup.capture.connections, 1);
      const asked = hass.received.flatMap(({ event_type }) =>
        typeof event_type === "string" ? [event_type] : []
      );
      assert.deepEqual(asked, ["state_changed", ...REGISTRY_EVENTS]);
    }, { hassToken: () => hass.plainToken });
  }
});

Deno.test("Home Assistant 2024.3 lets no ordinary user hear of floors: the rest is captured", async () => {
  using folder = new TemporaryFolder();
  await using hass = started({ version: "2024.3.3" });
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    await connected(setup);
    await hears(hass, setup, "sensor.heard");
  }, { hassToken: () => hass.plainToken });
});

Deno.test("Names that change unheard are read at intervals; where all is heard, nothing is", async () => {
  for (const unheard of [true, false]) {
    using folder = new TemporaryFolder();
    await using hass = started();
    if (unheard) {
      hass.refuses = ({ event_type }) =>
        event_type === "area_registry_updated" ? "unauthorized" : undefined;
    }
    const reads = () =>
      hass.received.filter(({ type }) => type === "config/area_registry/list").length;
    await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
      await connected(setup);
      await until(() => setup.outbox.meta("registry") !== undefined, "the names are read");
      if (unheard) {
        const [{ area_id }] = hass.registries.areas.values().toArray();
        hass.renameArea(area_id, "Renamed");
        await until(() => setup.outbox.meta("registry")?.includes("Renamed"), "it is learnt");
        const before = reads();
        await until(() => reads() >= before + 3, "it is read again and again");
      } else {
        await hears(hass, setup, "sensor.first");
        const before = reads();
        for (let n = 0; n < 20; n++) await hears(hass, setup, `sensor.heard_${n}`);
        assert.equal(reads(), before);
      }
    }, { hassToken: () => hass.plainToken, times: { ...TIMES, registryPollMs: 50 } });
  }
});

Deno.test("What a token may not have is named once in the log, however often capture connects", async () => {
  using folder = new TemporaryFolder();
  await using log = await CollectedLog.begin();
  await using hass = started();
  hass.refuses = ({ type, event_type }) =>
    event_type === "area_registry_updated" || type === "config/floor_registry/list"
      ? "unauthorized"
      : undefined;
  const floors = () =>
    hass.received.filter(({ type }) => type === "config/floor_registry/list").length;
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    for (let time = 1; time <= 3; time++) {
      await connected(setup, time);
      await until(() => floors() >= time, "the lists are asked for");
      await hears(hass, setup, `sensor.heard_${time}`);
      hass.cutClients();
    }
    await connected(setup, 4);
    assert.equal(log.with("may not have area_registry_updated either").length, 1);
    assert.equal(log.with("Cannot read config/floor_registry/list").length, 1);
    assert.equal(log.with("no administrator's").length, 1);
    assert.ok(log.with("Capturing states").length >= 4, "the log is collected");
  }, { hassToken: () => hass.plainToken });
});

Deno.test("A core that does not know supported_features is captured all the same", async () => {
  using folder = new TemporaryFolder();
  await using hass = started();
  hass.refuses = ({ type }) => type === "supported_features" ? "unknown_command" : undefined;
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    await connected(setup);
    await hears(hass, setup, "sensor.heard");
    assert.equal(setup.capture.connections, 1);
    assert.ok(hass.clients.every(({ coalesce }) => !coalesce));
  });
});

Deno.test("A token that may not even have states is told, and not taken for capturing", async () => {
  using folder = new TemporaryFolder();
  await using hass = started();
  hass.refuses = ({ event_type }) => event_type === "state_changed" ? "unauthorized" : undefined;
  await capturing(hass, folder.file("outbox.sqlite"), async ({ capture }) => {
    await until(
      () => capture.state.kind === "disconnected" && /unauthorized/.test(capture.state.reason),
      "it is told",
    );
    assert.equal(capture.connections, 0);
  }, { hassToken: () => hass.plainToken });
});
