import assert from "node:assert/strict";
import { RegistryRefresh } from "../../../lib/ingest/capture/registry_refresh.ts";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { HassClock } from "../../../lib/ingest/hass/hass_clock.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { presentStates } from "../../../lib/ingest/hass/present_states.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { FullDisk } from "../../outbox_model/full_disk.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { HOUSE } from "../../simulator/sample_house.ts";
import { ListingHomeAssistant } from "../../stand_ins/listing_home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { mostInOneTurn, turnsDuring } from "../../turns.ts";
import { until } from "../../until.ts";
import { type Capturing, capturing, connected, hears, linesOf, TIMES } from "./capturing.ts";
import { rowsOf } from "../outbox/rows.ts";

const FULL_OPTIONS = { maxBytes: 8_000_000 };

function fill(outbox: Outbox): void {
  while (!outbox.size.full) {
    outbox.add({ line: `{"event":{"x":"${"x".repeat(20_000)}"}}` });
    outbox.flush();
  }
}

function deliver(outbox: Outbox): string[] {
  const rows = rowsOf(outbox.waiting.next.peek({ maxEvents: 1_000_000, maxBytes: 1e12 }));
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

const LISTS = ["area", "floor", "label", "device", "entity"] as const;
const envelope = (event: string) => `{"event":${event}}`;

/** The texts that are kept of the registries from now on. */
function writes(outbox: Outbox): string[] {
  const written: string[] = [];
  const setMeta = outbox.setMeta.bind(outbox);
  outbox.setMeta = (key, value) => {
    if (key === "registry") written.push(value);
    setMeta(key, value);
  };
  return written;
}

Deno.test("What the registries say again in another order is not written again, over a restart too", async () => {
  using folder = new TemporaryFolder();
  await using hass = new ListingHomeAssistant({ recorder: false, house: HOUSE }).start();
  const labelled = hass.entries("entity").map((entry) => ({
    ...entry,
    labels: ["b", "energy", "a"],
  }));
  hass.lists.set("config/entity_registry/list", JSON.stringify(labelled));
  const path = folder.file("outbox.sqlite");
  await capturing(hass, path, async (setup) => {
    await connected(setup);
    await until(() => setup.outbox.meta("registry") !== undefined, "the names are read");
    deliver(setup.outbox);
  });
  // as after a restart of Home Assistant, and after an entity was renamed there and back
  for (const kind of LISTS) {
    const entries = kind === "entity" ? labelled : hass.entries(kind);
    const turned = entries.toReversed().map((entry) =>
      kind === "entity" ? { ...entry, labels: ["energy", "a", "b"] } : entry
    );
    hass.lists.set(`config/${kind}_registry/list`, JSON.stringify(turned));
  }
  await capturing(hass, path, async ({ outbox, capture }) => {
    const written = writes(outbox);
    const connection = await until(() => capture.connection, "it captures");
    const refresh = new RegistryRefresh(outbox, new HassClock(), envelope);
    for (let times = 0; times < 3; times++) assert.ok(await refresh.fetch(connection));
    assert.equal(refresh.registry.size, labelled.length);
    // what is new is written, and after all that was read before
    const added = [...labelled, { ...labelled[0], entity_id: "sensor.new" }];
    hass.lists.set("config/entity_registry/list", JSON.stringify(added));
    assert.ok(await refresh.fetch(connection));
    await until(() => written.length > 0, "what is new is written");
    assert.deepEqual(written.map((text) => text.includes("sensor.new")), [true]);
    const infos = deliver(outbox).filter((line) => line.includes("entity_info"));
    assert.deepEqual(infos.map((line) => JSON.parse(line).event.data.entity_id), ["sensor.new"]);
  });
});

Deno.test("A registry of 10,000 is spooled and read in short turns, and not written where it says nothing new", async () => {
  using folder = new TemporaryFolder();
  await using hass = new ListingHomeAssistant({ recorder: false, house: HOUSE }).start();
  const [entity] = hass.entries("entity");
  const [device] = hass.entries("device");
  const many = <T>(n: number, make: (i: number) => T) =>
    Array.from({ length: n }, (_, i) => make(i));
  const devices = many(2_000, (i) => ({ ...device, id: `d${i}`, name: `Device number ${i}` }));
  const entities = many(10_000, (i) => ({
    ...entity,
    id: `id${i}`,
    entity_id: `sensor.number_${i}`,
    device_id: `d${i % 2_000}`,
  }));
  const states = many(10_000, (i) => ({
    entity_id: `sensor.number_${i}`,
    state: "1",
    attributes: {
      unit_of_measurement: "°C",
      device_class: "temperature",
      state_class: "measurement",
      friendly_name: `Number ${i}`,
    },
    last_updated: "2026-06-25T21:20:05.162552+00:00",
  }));
  const answer = (order: <T>(list: T[]) => T[]) => {
    hass.lists.set("config/device_registry/list", JSON.stringify(order(devices)));
    hass.lists.set("config/entity_registry/list", JSON.stringify(order(entities)));
    hass.lists.set("get_states", JSON.stringify(order(states)));
  };
  answer((list) => list);
  await capturing(hass, folder.file("outbox.sqlite"), async ({ outbox, capture }) => {
    const append = outbox.append.bind(outbox);
    const noted: [turn: number, lines: number][] = [];
    await turnsDuring(async (turn) => {
      outbox.append = (lines, also) => {
        noted.push([turn(), lines.length]);
        return append(lines, also);
      };
      await until(() => outbox.meta("registry") !== undefined, "the names are read");
    });
    // 100 entities of the registry, and 200 present states
    assert.ok(mostInOneTurn(noted) <= 300, `${mostInOneTurn(noted)} in one turn`);
    const connection = await until(() => capture.connection, "it captures");
    const refresh = new RegistryRefresh(outbox, new HassClock(), envelope);
    const written = writes(outbox);
    answer((list) => list.toReversed());
    // 14 MB and 12,000 entries: read by 250 kB or 500 at a time, looked up and compared by 1,000
    const turns = await turnsDuring(async () => assert.ok(await refresh.fetch(connection)));
    assert.ok(turns > 50, `all in ${turns} turns`);
    assert.deepEqual(written.map(({ length }) => length), []);
  });
});

Deno.test("States are asked for twice at a first start, once at a reconnect, and anew after a registry's event", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ recorder: false, house: HOUSE }).start();
  const asked = () => hass.received.filter(({ type }) => type === "get_states").length;
  const listed = () =>
    hass.received.filter(({ type }) => type === "config/entity_registry/list").length;
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    const settled = async (lists: number) => {
      await until(() => listed() === lists, "the registries are asked");
      // answers come in their order: what follows from the lists is asked before the last of these
      for (let times = 0; times < 5; times++) await setup.capture.connection?.command("get_config");
    };
    await connected(setup);
    await settled(2);
    assert.equal(asked(), 2);
    hass.cutClients();
    await connected(setup, 2);
    await settled(3);
    assert.equal(asked(), 3);
    const [area] = HOUSE.areas;
    assert.ok(area);
    hass.renameArea(area.area_id, "A new name");
    await hears(hass, setup, "sensor.heard");
    assert.equal(listed(), 3);
    const { connection } = setup.capture;
    assert.ok(connection);
    // what others ask meanwhile is older than the lists
    await presentStates(connection);
    await until(() => listed() === 4 && asked() === 5, "they are read again");
    assert.equal(hass.received.at(-1)?.type, "get_states");
  });
});

Deno.test("However often the registries are read, the connection's end is waited for once", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ recorder: false, house: HOUSE }).start();
  await capturing(hass, folder.file("outbox.sqlite"), async ({ outbox, capture }) => {
    const connection: Connection = await until(() => capture.connection, "it captures");
    const refresh = new RegistryRefresh(outbox, new HassClock(), envelope);
    const { closed } = connection;
    let waits = 0;
    Object.defineProperty(connection, "closed", { get: () => (waits++, closed) });
    for (let times = 0; times < 5; times++) {
      refresh.schedule(connection);
      assert.ok(await refresh.fetch(connection));
    }
    assert.equal(waits, 1);
    // nothing is read any more once it has ended
    hass.cutClients();
    await connection.closed;
    hass.received.length = 0;
    refresh.schedule(connection, 0);
    assert.equal(await refresh.fetch(connection), false);
  });
});

Deno.test("A rename that a full disk takes no note of is noted once there is room", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ house: HOUSE }).start();
  using disk = new FullDisk();
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 200_000_000,
    onFailure: assert.ifError,
  });
  const { connection } = await Connection.open({
    url: webSocketUrl(hass.url),
    token: hass.token,
    signal: new AbortController().signal,
    handlers: { onEvent: () => {}, onMalformed: () => {} },
  });
  const refresh = new RegistryRefresh(outbox, new HassClock(), (event) => `{"event":${event}}`);
  hass.setState("sensor.living_room_temperature", "1");
  assert.equal(await refresh.fetch(connection), true);
  outbox.append([], () =>
    outbox.missing.add({
      entityId: "sensor.living_room_temperature",
      fromUs: 1,
      toUs: 9,
      beginUs: 1,
      lastState: undefined,
      proofUs: undefined,
      startsLater: false,
    }));
  hass.registry.updateEntity("sensor.living_room_temperature", { entity_id: "sensor.new" });
  disk.fill();
  await refresh.fetch(connection);
  disk.free();
  await refresh.fetch(connection);
  assert.equal(refresh.renamedTo("sensor.living_room_temperature"), "sensor.new");
  const missing = outbox.missing.next(9, 9).map(({ entityId }) => entityId);
  assert.deepEqual(missing.sort(), ["sensor.living_room_temperature", "sensor.new"]);
  hass.registry.updateEntity("sensor.new", { entity_id: "sensor.living_room_temperature" });
  await refresh.fetch(connection);
  assert.equal(refresh.renamedTo("sensor.living_room_temperature"), undefined, "it is back");
  // two that change their ids
  const [one, two, free] = [
    "sensor.living_room_temperature",
    HOUSE.entities.at(-1)?.entity_id ?? "",
    "sensor.free",
  ];
  hass.registry.updateEntity(one, { entity_id: free });
  hass.registry.updateEntity(two, { entity_id: one });
  hass.registry.updateEntity(free, { entity_id: two });
  await refresh.fetch(connection);
  assert.equal(refresh.renamedTo(one), two);
  assert.equal(refresh.renamedTo(two), one);
  connection.close("tested");
});

Deno.test("A name that a state shows without an event of the registries is read soon, but not one that is shortened", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ recorder: false, house: HOUSE }).start();
  const id = "sensor.living_room_temperature";
  const options = { times: { ...TIMES, registryPollMs: 20 } };
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    const { capture, outbox } = setup;
    await connected(setup);
    await until(() => outbox.meta("registry") !== undefined, "the names are read");
    const full = "Living room climate Temperature";
    assert.equal(capture.namesOf(id)?.name, full);
    const listed = () =>
      hass.received.filter(({ type }) => type === "config/entity_registry/list").length;
    await until(() => listed() === 2, "they are read again behind the subscription");
    const before = listed();
    const shorten = (state: string, more: object) =>
      hass.setState(id, state, { friendly_name: "Temperature", ...more });
    shorten("unavailable", { restored: true });
    shorten("unavailable", {});
    hass.setState(id, "21", { friendly_name: full });
    hass.setState("sensor.rest", "1", { friendly_name: "Another" });
    await hears(hass, setup, "sensor.heard");
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(listed(), before, "nothing has another name");

    shorten("unavailable", { restored: true });
    const [area] = HOUSE.areas;
    hass.renameArea(area?.area_id ?? "", "A new name");
    await until(
      () => listed() > before && capture.namesOf(id)?.area === "A new name",
      "it is read",
    );
    assert.equal(capture.namesOf(id)?.name, full, "its name goes on");

    hass.setState(id, "21", { friendly_name: "Temperature of the room" });
    await until(
      () => capture.namesOf(id)?.name === "Temperature of the room",
      "the new name is known",
    );
    const read = listed();
    hass.setState(id, "22", { friendly_name: "Temperature of the room" });
    await hears(hass, setup, "sensor.heard_again");
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(listed(), read, "once is enough");
  }, options);
});

Deno.test("Entities renamed by the user are called so after the next event of the registries, in each version", async () => {
  for (const version of ["2024.3.3", "2025.4.4", "2026.11.0"] as const) {
    using folder = new TemporaryFolder();
    await using hass = new SimulatedHomeAssistant({ recorder: false, house: HOUSE, version })
      .start();
    await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
      const { capture, outbox } = setup;
      await connected(setup);
      await until(() => outbox.meta("registry") !== undefined, "the names are read");
      const prefix = version === "2026.11.0" ? "Living room climate " : "";
      hass.registry.updateEntity("sensor.living_room_temperature", { name: "Warmth" });
      hass.registry.updateEntity("sensor.living_room_humidity", { entity_id: "sensor.moved" });
      hass.registry.updateEntity("sensor.bedroom_humidity", { disabled_by: "user", name: "Wet" });
      hass.registry.removeEntity("sensor.outdoor_illuminance");
      const wet = version === "2026.11.0" ? "Bedroom climate Wet" : "Wet";
      // a first reading may still be under way, whose lists are older than its states
      for (
        const [entityId, name] of Object.entries({
          "sensor.living_room_temperature": `${prefix}Warmth`,
          "sensor.moved": "Living room climate Humidity",
          "sensor.bedroom_humidity": wet,
        })
      ) {
        await until(() => capture.namesOf(entityId)?.name === name, `${entityId} is ${name}`);
      }
      const told = () =>
        linesOf(setup).filter((line) => line.includes("entity_info")).map((line) =>
          JSON.parse(line).event.data
        );
      await until(() => told().some(({ removed }) => removed), "it is told what left");
      const gone = told().filter(({ removed }) => removed).map(({ entity_id }) => entity_id);
      assert.deepEqual(gone.sort(), [
        "sensor.living_room_humidity",
        "sensor.outdoor_illuminance",
      ]);
      const moved = told().find(({ old_entity_id }) => old_entity_id);
      assert.deepEqual(
        [moved.entity_id, moved.old_entity_id, moved.removed],
        ["sensor.moved", "sensor.living_room_humidity", false],
      );
    });
  }
});
