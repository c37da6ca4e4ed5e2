import assert from "node:assert/strict";
import * as z from "zod";
import {
  availableVersions,
  type HomeAssistant,
  type HomeAssistantVersion,
} from "./parts/home_assistant.ts";
import type { StoredPoint } from "./parts/influxd.ts";
import { byReason, equationOf, total } from "./parts/metrics_text.ts";
import { ODD_ATTRIBUTES, ODD_STATES, STORED_ATTRIBUTES } from "./parts/odd_states.ts";
import { countEvents, indexByEntity, Pipeline, stateKey } from "./parts/pipeline.ts";
import { Reader, type ReadEvent } from "./parts/reader.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const CHANGES = 200;
const ENTITIES = 40;
const LAMP = "light.bed_light";

/** A floor where this version has floors for areas. */
function floorOf(version: HomeAssistantVersion): string | undefined {
  return version === "2024.3.3" ? undefined : "Ground floor";
}

/** Gives the demo's lamp a name, and its device a name and an area. */
async function nameLamp(
  hass: HomeAssistant,
  version: HomeAssistantVersion,
): Promise<void> {
  using socket = await hass.connect();
  const { area_id } = z.looseObject({ area_id: z.string() }).parse(
    await socket.command({
      type: "config/area_registry/create",
      name: "Küche, hinten",
    }),
  );
  const floor = floorOf(version);
  if (floor !== undefined) {
    const { floor_id } = z.looseObject({ floor_id: z.string() }).parse(
      await socket.command({
        type: "config/floor_registry/create",
        name: floor,
      }),
    );
    await socket.command({
      type: "config/area_registry/update",
      area_id,
      floor_id,
    });
  }
  const { device_id } = z.looseObject({ device_id: z.string() }).parse(
    await socket.command({
      type: "config/entity_registry/get",
      entity_id: LAMP,
    }),
  );
  await socket.command({
    type: "config/device_registry/update",
    device_id,
    area_id,
    name_by_user: "Lamp = device",
  });
  await socket.command({
    type: "config/entity_registry/update",
    entity_id: LAMP,
    name: "Bed lamp",
  });
}

/** 200 state changes, removals, custom events, service calls. */
async function makeOddEvents(hass: HomeAssistant): Promise<void> {
  for (let i = 0; i < CHANGES; i++) {
    const odd = ODD_STATES[i % ODD_STATES.length];
    assert.ok(odd);
    await hass.setState(`sensor.odd_${i % ENTITIES}`, {
      state: odd.state,
      attributes: { ...(i % 3 === 0 ? ODD_ATTRIBUTES : {}), seq: i },
    });
  }
  for (const state of ["on", "off", "on"]) {
    await hass.setState("switch.odd", { state });
  }
  await hass.setState("sensor.same", { state: "1", force_update: true });
  await hass.setState("sensor.same", { state: "1", force_update: true });
  for (let i = 0; i < 5; i++) await hass.deleteState(`sensor.odd_${i}`);
  await hass.fireEvent("odd_event");
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      hass.fireEvent("odd_event", {
        i,
        entity_id: "sensor.odd_1",
        "key, =": 'a "text" \\',
        nested: { list: [1, null, "😀"] },
      })),
  );
  await hass.callService("light", "turn_on", {
    entity_id: LAMP,
    brightness: 120,
  });
  await hass.callService("light", "turn_off", { entity_id: LAMP });
  await hass.callService("input_boolean", "toggle", {
    entity_id: "input_boolean.flag",
  });
}

/** Every event that was read must be a point at its own time. */
function assertAllStored(
  events: readonly ReadEvent[],
  points: readonly StoredPoint[],
): void {
  const states = indexByEntity(points);
  const stored = countEvents(points);
  const fired = new Map<string, number>();
  for (const { eventType, entityId, timeFiredUs } of events) {
    if (entityId !== undefined) {
      assert.equal(
        states.get(stateKey(entityId, timeFiredUs))?.length,
        1,
        `one point of ${entityId} at ${timeFiredUs} µs`,
      );
      continue;
    }
    const key = `${eventType} ${timeFiredUs}`;
    fired.set(key, (fired.get(key) ?? 0) + 1);
  }
  for (const [key, count] of fired) {
    assert.equal(stored.get(key), count, `points of the event ${key}`);
  }
}

function assertFields(
  point: StoredPoint | undefined,
  expected: Readonly<Record<string, string | number | undefined>>,
  of: string,
): void {
  for (const [name, value] of Object.entries(expected)) {
    assert.equal(point?.fields[name], value, `field ${name} of ${of}`);
  }
}

/** The odd states' points hold what they must, and no more than they must. */
function assertOddStates(
  events: readonly ReadEvent[],
  points: readonly StoredPoint[],
): void {
  const states = indexByEntity(points);
  const schema = z.looseObject({
    state: z.string(),
    attributes: z.looseObject({
      seq: z.number(),
      temperature: z.number().optional(),
    }),
  });
  let seen = 0;
  for (const { entityId, timeFiredUs, data, removed } of events) {
    if (entityId?.startsWith("sensor.odd_") !== true) continue;
    const point = states.get(stateKey(entityId, timeFiredUs))?.[0];
    if (removed) {
      assertFields(
        point,
        { state: "removed", available: 0, value: undefined },
        `the removed ${entityId}`,
      );
      continue;
    }
    const { state, attributes } = schema.parse(data.new_state);
    const odd = ODD_STATES.find((candidate) => candidate.state === state);
    assert.ok(odd, `${JSON.stringify(state)} is one of ours`);
    const of = `${entityId} = ${JSON.stringify(state)}`;
    assertFields(point, {
      value: undefined,
      state: undefined,
      ...odd.fields,
      seq: attributes.seq,
      ...(attributes.temperature === undefined ? {} : STORED_ATTRIBUTES),
    }, of);
    const leftOut = Object.keys(point?.fields ?? {}).filter((name) =>
      /^(list|nested|long|nothing)/.test(name)
    );
    assert.deepEqual(leftOut, [], `fields of ${of} that are to be left out`);
    seen++;
  }
  assert.equal(seen, CHANGES);
}

for (const version of await availableVersions()) {
  realTest(
    `Odd events of Home Assistant ${version} are all in InfluxDB, at their own microsecond and with their names`,
    async () => {
      await using pipeline = await Pipeline.start({
        version,
        prepare: (hass) => nameLamp(hass, version),
      });
      const { hass } = pipeline;
      await using reader = await Reader.start(hass);
      await makeOddEvents(hass);
      const first = await pipeline.settle();
      reader.throwIfBroken();
      const read = [...reader.events];
      assertAllStored(read, first.points);
      assertOddStates(read, first.points);

      const lamp = first.points.filter(({ measurement, tags, fields }) =>
        measurement === "light" && tags.entity_id === LAMP &&
        fields.brightness === 120
      );
      assert.equal(lamp.length, 1);
      const floor = floorOf(version);
      const names = {
        entity_id: LAMP,
        // since 2026 the device's name is a part of one that the user gave, too
        name: version === "2026.11.0" ? "Lamp = device Bed lamp" : "Bed lamp",
        area: "Küche, hinten",
        device: "Lamp = device",
        ...(floor === undefined ? {} : { floor }),
      };
      assert.deepEqual({ ...lamp[0]?.tags }, names);
      assert.ok(
        first.points.some(({ measurement, tags }) =>
          measurement === "events" && tags.event_type === "call_service" &&
          tags.domain === "light" && tags.service === "turn_on" &&
          tags.entity_id === LAMP
        ),
        "the service call is an event with its own tags",
      );
      assert.ok(
        first.points.some(({ measurement, tags, fields }) =>
          measurement === "entities" && tags.entity_id === LAMP &&
          fields.area === names.area
        ),
        "the lamp is described in entities",
      );
      const switched = first.points.filter(({ tags }) => tags.entity_id === "switch.odd");
      assert.deepEqual(
        switched.map(({ fields }) => [fields.state, fields.value]),
        [["on", 1], ["off", 0], ["on", 1]],
      );

      await hass.setState("sensor.large", {
        state: "1",
        attributes: { blob: "z".repeat(1_000_000), small: 5 },
      });
      const { ingest, enrich, points } = await pipeline.settle();
      const large = points.filter(({ tags }) => tags.entity_id === "sensor.large");
      assert.equal(large.length, 1);
      assertFields(
        large[0],
        { value: 1, small: 5, blob_str: undefined },
        "sensor.large",
      );
      const leftOut = "enrich_attributes_left_out_total";
      assert.ok(
        total(enrich, leftOut) > total(first.enrich, leftOut),
        "the attribute of 1 MB is counted as left out",
      );

      const delivered = total(ingest, "ingest_events_delivered_total");
      assert.equal(delivered, total(enrich, "enrich_events_stored_total"));
      assert.equal(delivered, points.length);
      assert.deepEqual(
        byReason(ingest, "ingest_events_skipped_total"),
        byReason(enrich, "enrich_events_skipped_total"),
      );
      measured(
        `Home Assistant ${version}: ${reader.events.length} events read, ${points.length} points, ${
          equationOf(ingest).text
        }`,
      );
      await pipeline.ingest.stop();
      await pipeline.enrich.stop();
    },
  );
}
