import assert from "node:assert/strict";
import { memberText } from "../../../lib/json_text.ts";
import { change, FIRED, FIRED_NS, recorded, stateOf, tidy, tidyText } from "./tidied.ts";

Deno.test("tidyPoint of the recorded sensor.odd has every kind of attribute", () => {
  const { text: _, ...point } = recorded(['"entity_id":"sensor.odd"', '"numtext"']);
  assert.deepEqual(point, {
    measurement: "sensor",
    tags: { entity_id: "sensor.odd", unit: "°C" },
    fields: {
      available: 1,
      state: "on",
      int: 1,
      neg: -5,
      float: 1.5,
      exp: 1e30,
      tiny: 1e-12,
      big: 9007199254740992,
      true: 1,
      false: 0,
      empty_str: "",
      text_str: "héllo wörld ☃ 😀",
      numtext_str: "12.5",
      quote_str: 'it\'s "quoted" \\ back',
      newline_str: "a\nb\tc",
      "space key": 1,
      "comma,key": 2,
      "eq=key": 3,
    },
    timeNs: 1795454675206289000n,
    leftOut: { list: 2, object: 1, constant: 1 },
  });
});

Deno.test("tidyPoint of the recorded removal of sensor.rest_made ends its state", () => {
  const { text, ...point } = recorded(['"entity_id":"sensor.rest_made"', '"new_state":null']);
  assert.equal(memberText(text, "time_fired"), '"2026-11-23T17:24:35.247808+00:00"');
  assert.match(text, /"last_changed":"2026-11-23T17:24:35.202975\+00:00"/);
  assert.deepEqual(point, {
    measurement: "sensor",
    tags: { entity_id: "sensor.rest_made", unit: "°C" },
    fields: { available: 0, state: "removed", old_state: "21", old_state_s: 0.044833 },
    timeNs: 1795454675247808000n,
    leftOut: {},
  });
});

Deno.test("tidyPoint of the recorded light.bed_light says what it was and for how long", () => {
  const { text: _, ...point } = recorded(['"entity_id":"light.bed_light"', '"old_state"'], 1);
  assert.deepEqual(point, {
    measurement: "light",
    tags: { entity_id: "light.bed_light", name: "Bed Light" },
    fields: { available: 1, value: 0, state: "off", old_state: "on", old_state_s: 0.002891 },
    timeNs: 1795454675252875000n,
    leftOut: { constant: 8 },
  });
  const on = recorded(['"entity_id":"light.bed_light"', '"old_state"'], 0);
  assert.equal(on.fields.old_state_s, 16.867904);
  assert.equal(on.fields.brightness, 77);
});

Deno.test("tidyPoint takes the names of the envelope, and friendly_name only where there are none", () => {
  const data = {
    entity_id: "sensor.a",
    new_state: stateOf("sensor.a", "1", {
      friendly_name: "From the state",
      device_class: "temperature",
      unit_of_measurement: "°C",
    }),
  };
  const registry = { name: "Room", area: "Attic", floor: "", device: null };
  assert.deepEqual(
    tidy({ event_type: "state_changed", data }, { registry, source: "house" }).tags,
    {
      entity_id: "sensor.a",
      name: "Room",
      area: "Attic",
      device_class: "temperature",
      unit: "°C",
      source: "house",
    },
  );
  assert.equal(tidy({ event_type: "state_changed", data }).tags.name, "From the state");
  const { name: _, ...nameless } = registry;
  assert.equal(
    tidy({ event_type: "state_changed", data }, { registry: nameless }).tags.name,
    undefined,
    "an entry without a name: Home Assistant shortens friendly_name while an integration reloads",
  );
});

Deno.test("tidyPoint keeps the tags of a removed entity in its series", () => {
  const removal = change("sensor.a", "1", null, {
    device_class: "power",
    unit_of_measurement: "W",
  });
  assert.deepEqual(removal.tags, { entity_id: "sensor.a", device_class: "power", unit: "W" });
  assert.deepEqual(removal.fields, {
    available: 0,
    state: "removed",
    old_state: "1",
    old_state_s: 2.5,
  });
  assert.equal(removal.timeNs, FIRED_NS);
  assert.ok(!("value" in change("lock.a", "locked", null).fields), "a removed lock is not open");
});

Deno.test("tidyPoint keeps a state's text unless it is a plain number", () => {
  assert.deepEqual(change("sensor.a", null, "21.50").fields, { available: 1, value: 21.5 });
  assert.deepEqual(change("sensor.a", null, "007").fields, {
    available: 1,
    value: 7,
    state: "007",
  });
  assert.deepEqual(change("sensor.a", null, "").fields, { available: 1, state: "" });
  for (const state of ["unavailable", "unknown"]) {
    assert.deepEqual(change("lock.a", null, state).fields, { available: 0, state });
  }
});

Deno.test("tidyPoint keeps no text beside a number of 17 digits that its value tells", () => {
  const { fields } = change("sensor.a", "21.416666666666668", "21.466666666666665");
  assert.deepEqual(fields, { available: 1, value: 21.466666666666665 });
  assert.deepEqual(change("sensor.a", null, "9007199254740993").fields, {
    available: 1,
    value: 9007199254740992,
    state: "9007199254740993",
  });
});

Deno.test("tidyPoint takes a person in a zone within home for at home, and keeps the zone's name", () => {
  const zones = { in_zones: ["zone.garden", "zone.home"] };
  assert.deepEqual(change("person.a", "home", "Garden", zones).fields, {
    available: 1,
    value: 1,
    state: "Garden",
    old_state: "home",
    old_state_s: 2.5,
  });
  assert.equal(change("person.a", null, "Garden", { in_zones: ["zone.garden"] }).fields.value, 0);
});

Deno.test("tidyPoint gives a sensor of class uptime, and a datetime, Unix seconds as their value", () => {
  const at = "2026-11-23T18:24:37+01:00";
  const uptime = change("sensor.a", null, at, { device_class: "uptime" }).fields;
  assert.deepEqual(uptime, { available: 1, value: 1795454677, state: at });
  assert.equal(change("datetime.a", null, at).fields.value, 1795454677);
});

Deno.test("tidyPoint writes both signs for micro as one, so that old and new rows are one series", () => {
  const unitOf = (unit: string) => {
    const { tags } = change("sensor.a", null, "1", { unit_of_measurement: unit });
    return tags.unit;
  };
  assert.equal(unitOf("\u00b5g/m³"), "\u03bcg/m³");
  assert.equal(unitOf("\u03bcg/m³"), "\u03bcg/m³");
  const { tags } = change("sensor.\u00b5", null, "1", {
    friendly_name: "\u00b5",
    device_class: "\u00b5",
  });
  assert.deepEqual(tags, { entity_id: "sensor.\u00b5", name: "\u00b5", device_class: "\u00b5" });
});

Deno.test("tidyPoint says what a state was where it changed and either is text", () => {
  assert.deepEqual(change("switch.a", "off", "on").fields, {
    available: 1,
    value: 1,
    state: "on",
    old_state: "off",
    old_state_s: 2.5,
  });
  const numbers = change("sensor.a", "1", "2").fields;
  assert.deepEqual(numbers, { available: 1, value: 2 });
  assert.equal(change("sensor.a", "unknown", "2").fields.old_state, "unknown");
  assert.equal(change("sensor.a", "2", "unavailable").fields.old_state, "2");
  assert.equal(change("sensor.a", "2", "unavailable").fields.old_state_s, 2.5);
  assert.deepEqual(change("switch.a", "on", "on").fields, { available: 1, value: 1, state: "on" });
});

Deno.test("tidyPoint leaves out how long a state lasted where that is not known", () => {
  const { last_changed: _, ...newState } = stateOf("switch.a", "on");
  const { fields } = tidy({
    event_type: "state_changed",
    data: { entity_id: "switch.a", old_state: stateOf("switch.a", "off"), new_state: newState },
  });
  assert.deepEqual(fields, { available: 1, value: 1, state: "on", old_state: "off" });
});

Deno.test("tidyPoint places a state at its last_updated, else at the event's time_fired", () => {
  const updated = "2026-11-23T18:24:35.197848+01:00";
  const at = (new_state: object) =>
    tidy({ event_type: "state_changed", data: { entity_id: "sensor.a", new_state } }).timeNs;
  assert.equal(at({ ...stateOf("sensor.a", "1"), last_updated: updated }), FIRED_NS + 1000n);
  assert.equal(at({ entity_id: "sensor.a", state: "1", attributes: {} }), FIRED_NS);
});

Deno.test("tidyPoint keeps the measurements of what is no state for itself", () => {
  const measurements = ["events", "entities", "statistics", "events_", "eventsx"]
    .map((domain) => change(`${domain}.a`, null, "1").measurement);
  assert.deepEqual(measurements, ["events_", "entities_", "statistics_", "events__", "eventsx"]);
});

Deno.test("tidyPoint hides what is typed into a password field, before and after", () => {
  const fields = change("input_text.wifi", "1234", "hunter2", { mode: "password" }).fields;
  assert.deepEqual(fields, { available: 1, state: "***", old_state: "***", old_state_s: 2.5 });
  assert.deepEqual(change("text.wifi", "hunter2", "1234", {}).fields, {
    available: 1,
    state: "***",
    old_state: "***",
    old_state_s: 2.5,
  });
  assert.equal(change("text.wifi", "hunter2", null, { mode: "password" }).fields.old_state, "***");
  assert.equal(change("text.note", null, "milk", { mode: "text" }).fields.state, "milk");
});

Deno.test("tidyPoint of a filled row leaves out a text that may be a password, and writes over none", () => {
  const before = stateOf("text.note", "milk", {}, "2026-11-23T17:24:32.697847+00:00");
  const filled = (to: string | null, from: object | null = before, via = "history") =>
    tidy({
      event_type: "state_changed",
      data: {
        entity_id: "text.note",
        old_state: from,
        new_state: to === null ? null : stateOf("text.note", to),
      },
    }, { via }).fields;
  assert.deepEqual(filled("bread"), { available: 1, old_state_s: 2.5 });
  assert.deepEqual(filled("5"), { available: 1, old_state_s: 2.5 });
  assert.deepEqual(filled("bread", null), { available: 1 });
  assert.deepEqual(filled("unavailable"), { available: 0, state: "unavailable", old_state_s: 2.5 });
  assert.deepEqual(filled(null), { available: 0, state: "removed", old_state_s: 2.5 });
  const plain = { ...before, attributes: { mode: "text" } };
  assert.equal(filled("bread", plain).state, "bread", "its mode is known");
  assert.deepEqual(filled("bread", before, "snapshot"), {
    available: 1,
    state: "***",
    old_state: "***",
    old_state_s: 2.5,
  });
  const camera = { ...before, entity_id: "camera.a", state: "idle" };
  const { fields } = tidy({
    event_type: "state_changed",
    data: {
      entity_id: "camera.a",
      old_state: camera,
      new_state: stateOf("camera.a", "/x?token=1"),
    },
  }, { via: "history" });
  assert.equal(fields.state, "***", "a text with a token is known for one");
});

Deno.test("tidyPoint hides a text with a token where it becomes a tag", () => {
  const token = "http://camera/x?token=13571357";
  const attributes = {
    friendly_name: token,
    unit_of_measurement: token,
    device_class: token,
  };
  const state = { entity_id: "sensor.a", new_state: stateOf("sensor.a", "1", attributes) };
  const { tags } = tidy({ event_type: "state_changed", data: state });
  assert.deepEqual(tags, { entity_id: "sensor.a", name: "***", unit: "***", device_class: "***" });
  const registry = { name: token, area: token, floor: token, device: token };
  const named = tidy({ event_type: "state_changed", data: state }, { registry, source: token });
  assert.ok(!JSON.stringify(named.tags).includes("13571357"));
  assert.deepEqual(named.fields, { available: 1, value: 1 });
});

Deno.test("tidyPoint takes __proto__ for a name like any other", () => {
  const attributes: unknown = JSON.parse('{"__proto__":{"mode":"text"},"x":1}');
  const state = { ...stateOf("text.a", "hunter2"), attributes };
  const { fields } = tidy(
    { event_type: "state_changed", data: { entity_id: "text.a", new_state: state } },
    {},
    "all",
  );
  assert.deepEqual(fields, {
    available: 1,
    state: "***",
    __proto____json: '{"mode":"text"}',
    x: 1,
  });
});

Deno.test("tidyPoint keeps the digits of whole numbers beyond 2^53 in lists and objects", () => {
  const attributes = '{"list":[9007199254740993,1.0,"9007199254740993"],' +
    '"object":{"b":-9007199254740993,"a":{"token":12345678901234567890}},"long":9007199254740993}';
  const event = (oldState: string) =>
    `{"event_type":"state_changed","time_fired":"${FIRED}","origin":"LOCAL","data":` +
    `{"entity_id":"sensor.a","old_state":${oldState},` +
    `"new_state":{"entity_id":"sensor.a","state":"1","attributes":${attributes}}}}`;
  const { fields } = tidyText(event("null"), {}, "all");
  assert.deepEqual(fields, {
    available: 1,
    value: 1,
    list_json: '[9007199254740993,1,"9007199254740993"]',
    object_json: '{"b":-9007199254740993,"a":{"token":"***"}}',
    long: 9007199254740992,
  });
});
