/** Values and secrets of SCHEMA=tidy, as the newest Home Assistant says them. */
import assert from "node:assert/strict";
import { untilFilled } from "./parts/filling.ts";
import { newestVersion } from "./parts/home_assistant.ts";
import { Pipeline } from "./parts/pipeline.ts";
import { realTest } from "./parts/real_test_case.ts";

const YAML = `
zone:
  - name: Garden
    latitude: 32.87336
    longitude: 117.22743
    radius: 10
person:
  - name: Anna
    id: anna
    device_trackers: [device_tracker.phone]
input_text:
  wifi:
    name: Wifi
    mode: password
    initial: first
  note:
    name: Note
    initial: milk
`;
const SECRET = "hunter2";

realTest(
  "A person in the garden is at home, and what is typed into a text is stored as it may be",
  async () => {
    const version = await newestVersion();
    await using pipeline = await Pipeline.start({ version, extraYaml: YAML, minimal: true });
    const { hass, ingest } = pipeline;
    // what was there before is stored
    await untilFilled(ingest);
    const setText = (entity: string, value: string) =>
      hass.callService("input_text", "set_value", { entity_id: `input_text.${entity}`, value });
    await hass.setState("device_tracker.phone", {
      state: "Garden",
      attributes: {
        source_type: "gps",
        latitude: 32.87336,
        longitude: 117.22743,
        gps_accuracy: 0,
        in_zones: ["zone.garden", "zone.home"],
      },
    });
    await setText("wifi", SECRET);
    await setText("note", "bread");
    await pipeline.settle();
    await ingest.stop();
    await setText("note", "eggs");
    await setText("note", "flour");
    await setText("wifi", `${SECRET}2`);
    await ingest.startAgain();
    await ingest.untilReady();
    await untilFilled(ingest);
    const { points } = await pipeline.settle();

    const of = (entityId: string) =>
      points.filter(({ tags, measurement }) =>
        tags.entity_id === entityId && !["events", "entities"].includes(measurement)
      ).toSorted((a, b) => a.timeNs < b.timeNs ? -1 : 1).map(({ fields }) => fields);
    for (const entityId of ["person.anna", "device_tracker.phone"]) {
      const fields = of(entityId).at(-1);
      assert.deepEqual([fields?.state, fields?.value], ["Garden", 1], entityId);
    }
    const texts = of("input_text.note").map(({ state }) => state);
    assert.deepEqual(texts, ["milk", "bread", undefined, "flour"], "eggs came from the recorder");
    assert.equal(
      JSON.stringify(points, (_, v) => typeof v === "bigint" ? `${v}` : v).includes(SECRET),
      false,
    );
    const calls = points.filter(({ tags }) => tags.service === "set_value");
    assert.equal(calls.length, 2, "the others were while ingest was away");
    for (const { fields } of calls) {
      assert.match(String(fields.data_json), /"value":"\*\*\*"/);
    }
  },
);
