import fc from "fast-check";
import assert from "node:assert/strict";
import {
  addAttributes,
  type AttributeMode,
  fieldOf,
  STATE_NAMES,
} from "../../../lib/enrich/tidy/attributes.ts";
import type { FieldValue } from "../../../lib/enrich/store.ts";

function fieldsOf(attributesJson: string, mode: AttributeMode) {
  const fields = new Map<string, FieldValue>();
  const leftOut = new Map<string, number>();
  addAttributes(fields, JSON.parse(attributesJson), { mode, listed: () => undefined }, leftOut);
  return { fields: Object.fromEntries(fields), leftOut: Object.fromEntries(leftOut) };
}

Deno.test("addAttributes names a field after its attribute and its type", () => {
  const { fields, leftOut } = fieldsOf(
    '{"n":1.5,"yes":true,"no":false,"text":"12.5","empty":"","list":[1,null],"dict":{"a":1},"nil":null}',
    "all",
  );
  assert.deepEqual(fields, {
    n: 1.5,
    yes: 1,
    no: 0,
    text_str: "12.5",
    empty_str: "",
    list_json: "[1,null]",
    dict_json: '{"a":1}',
  });
  assert.deepEqual(leftOut, {});
});

Deno.test("addAttributes appends one _ to a key that is taken or ends like a type", () => {
  const { fields } = fieldsOf(
    '{"value":1,"value_":2,"state":"s","time":3,"area":4,"x_str":5,"x_json":6,"x_":7,"x":"t","_":8,"__proto__":9,"old_state_s":10}',
    "all",
  );
  assert.deepEqual(Object.entries(fields), [
    ["value_", 1],
    ["value__", 2],
    ["state__str", "s"],
    ["time_", 3],
    ["area_", 4],
    ["x_str_", 5],
    ["x_json_", 6],
    ["x__", 7],
    ["x_str", "t"],
    ["__", 8],
    ["__proto___", 9],
    ["old_state_s_", 10],
  ]);
});

Deno.test("addAttributes with standard leaves out what is constant, listed or long, by reason", () => {
  const { fields, leftOut } = fieldsOf(
    JSON.stringify({
      brightness: 77,
      "": 1,
      friendly_name: "Bed",
      temperature_unit: "°C",
      source_list: ["a"],
      hvac_modes: ["heat"],
      rgb_color: [1, 2, 3],
      forecast: { a: 1 },
      story: "x".repeat(256),
      smiles: "😀".repeat(255),
      access_token: "abc",
      entity_picture: "/x?token=abc",
      effect: null,
    }),
    "standard",
  );
  assert.deepEqual(fields, { brightness: 77, smiles_str: "😀".repeat(255) });
  assert.deepEqual(leftOut, {
    empty_name: 1,
    constant: 4,
    list: 1,
    object: 1,
    long_text: 1,
    secret: 2,
  });
});

Deno.test("addAttributes with standard leaves out every constant that is named", () => {
  const names = `friendly_name icon entity_picture entity_picture_local attribution
    supported_features device_class unit_of_measurement state_class assumed_state editable restored
    id user_id initial min max step mode pattern options code_format code_arm_required battery_icon
    frontend_stream_type auto_update display_precision in_progress update_percentage
    release_summary release_url title media_position media_position_updated_at last_triggered
    current has_date has_time min_temp max_temp target_temp_step min_humidity max_humidity
    min_mireds max_mireds min_color_temp_kelvin max_color_temp_kelvin percentage_step description
    next_event`.split(/\s+/);
  assert.equal(names.length, 50);
  const { fields, leftOut } = fieldsOf(
    JSON.stringify(Object.fromEntries(names.map((name) => [name, 1]))),
    "standard",
  );
  assert.deepEqual(fields, {});
  assert.deepEqual(leftOut, { constant: 50 });
});

Deno.test("addAttributes with all refuses only secrets, and values above 64 KiB", () => {
  const { fields, leftOut } = fieldsOf(
    JSON.stringify({
      icon: "mdi:x",
      full: "x".repeat(65_536),
      over: "x".repeat(65_537),
      wide: "é".repeat(32_769),
      list: ["x".repeat(65_536)],
      access_token: "abc",
      users: [{ name: "a", pin: "1234" }],
    }),
    "all",
  );
  assert.deepEqual(Object.keys(fields), ["icon_str", "full_str", "users_json"]);
  assert.equal(fields.users_json, '[{"name":"a","pin":"***"}]');
  assert.deepEqual(leftOut, { too_large: 3, secret: 1 });
});

Deno.test("addAttributes leaves out numbers beyond a float", () => {
  assert.deepEqual(fieldsOf('{"big":1e999}', "all"), { fields: {}, leftOut: { not_finite: 1 } });
});

Deno.test("addAttributes with none counts what is there and stores nothing", () => {
  assert.deepEqual(fieldsOf('{"a":1,"b":"x","c":null}', "none"), {
    fields: {},
    leftOut: { attributes_none: 2 },
  });
});

const hostileName = fc.oneof(
  fc.constantFrom(
    "value",
    "x",
    "time",
    "__proto__",
    "area",
    "constructor",
    "a b",
    "a,b",
    '"',
    "😀",
  ),
  fc.string(),
).chain((stem) =>
  fc.array(fc.constantFrom("_", "_str", "_json", "str"), { maxLength: 3 })
    .map((endings) => stem + endings.join(""))
);
const anyValue = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.string(),
  fc.array(fc.integer()),
  fc.dictionary(fc.string(), fc.integer()),
);

function kindOf(value: unknown): string {
  if (typeof value === "boolean") return "number";
  return typeof value === "object" ? "json" : typeof value;
}

Deno.test("fieldOf maps no two attributes to one field, so that a field has one type forever", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(hostileName, anyValue)), (attributes) => {
      const owners = new Map<string, string>();
      for (const [name, value] of attributes) {
        const field = fieldOf(name, value, STATE_NAMES);
        if (typeof field === "string") {
          assert.equal(name, "");
          continue;
        }
        assert.ok(!STATE_NAMES.has(field[0]), `${name} takes the place of ${field[0]}`);
        const owner = JSON.stringify([name, kindOf(value)]);
        assert.equal(owners.get(field[0]) ?? owner, owner);
        owners.set(field[0], owner);
      }
    }),
    { numRuns: 500, seed: 1 },
  );
});
