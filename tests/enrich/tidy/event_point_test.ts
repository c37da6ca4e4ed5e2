import assert from "node:assert/strict";
import { nanosecondsOf } from "../../../lib/enrich/event_id.ts";
import { FIRED, FIRED_NS, recorded, stateOf, tidy, tidyText } from "./tidied.ts";

Deno.test("tidyPoint of a recorded call_service names domain, service and the entity", () => {
  const { text, ...point } = recorded(['"call_service"', '"brightness":77']);
  assert.deepEqual(point, {
    measurement: "events",
    tags: {
      event_type: "call_service",
      domain: "light",
      service: "turn_on",
      entity_id: "light.bed_light",
    },
    fields: {
      origin: "LOCAL",
      context_id: "01M84Q0A9H8E57SWHWAKG24XGX",
      user_id: "3112f8083fe74958809e83cc23141d69",
      data_json: '{"domain":"light","service":"turn_on","service_data":' +
        '{"entity_id":"light.bed_light","brightness":77,"rgb_color":[10,200,30]}}',
    },
    timeNs: 1795454675249613000n + BigInt(nanosecondsOf(text)),
    leftOut: {},
  });
});

Deno.test("tidyPoint of a recorded event of one's own has its scalars as fields", () => {
  assert.deepEqual(recorded(["mobile_app_notification_action"]).fields, {
    origin: "REMOTE",
    context_id: "01M84Q0C92DZXC9KF4G6SZJ86B",
    user_id: "3112f8083fe74958809e83cc23141d69",
    data_json: '{"action":"YES","event_type":"trap","time_fired":"trap","origin":"trap"}',
    action_str: "YES",
    event_type__str: "trap",
    time_fired_str: "trap",
    origin__str: "trap",
  });
  const face = recorded(["image_processing.detect_face", "Hans"]);
  assert.equal(face.tags.entity_id, "image_processing.demo_face");
  assert.equal(face.fields.confidence, 98.34);
  assert.equal(face.fields.name__str, "Hans");
  assert.equal(recorded(["my_empty_event"]).fields.data_json, "{}");
});

Deno.test("tidyPoint stores no secret of an event, whatever the mode", () => {
  const data = {
    code: 13571357,
    weather_code: 61,
    user_token: ["13571357"],
    service_data: {
      entity_id: ["lock.a", "lock.b"],
      code: "13571357",
      list: [{ pin: "13571357" }],
    },
    url: "http://camera/stream?token=13571357",
    domain: "token=13571357",
  };
  for (const mode of ["standard", "all", "none"] as const) {
    const { tags, fields } = tidy({ event_type: "call_service", data }, {}, mode);
    assert.ok(!JSON.stringify({ tags, fields }).includes("13571357"));
    assert.equal(fields.code_str, "***");
    assert.equal(fields.user_token_str, "***");
    assert.equal(fields.weather_code, 61);
    assert.equal(fields.entity_ids, "lock.a, lock.b");
  }
  const attributes = {
    access_token: "13571357",
    entity_picture: "/x?token=13571357",
    users: [{ pin: "13571357", url: "/x?token=13571357" }],
  };
  const state = { ...stateOf("camera.a", "/x?token=13571357", attributes) };
  const { fields } = tidy(
    { event_type: "state_changed", data: { entity_id: "camera.a", new_state: state } },
    {},
    "all",
  );
  assert.deepEqual(fields, {
    available: 1,
    state: "***",
    users_json: '[{"pin":"***","url":"***"}]',
  });
});

Deno.test("tidyPoint hides what text.set_value and input_text.set_value set, and nothing like it", () => {
  const call = (domain: string, service: string, more: object = {}) =>
    tidy(
      {
        event_type: "call_service",
        data: {
          domain,
          service,
          service_data: { entity_id: "x.wifi", value: "13571357" },
          ...more,
        },
      },
      {},
      "all",
    ).fields;
  for (const domain of ["text", "input_text"]) {
    assert.equal(
      call(domain, "set_value").data_json,
      `{"domain":"${domain}","service":"set_value",` +
        '"service_data":{"entity_id":"x.wifi","value":"***"}}',
    );
    const nested = { event: { domain, service: "set_value", service_data: { value: [13571357] } } };
    assert.ok(!JSON.stringify(call("x", "y", { service_data: nested })).includes("13571357"));
    assert.match(String(call(domain, "reload").data_json), /13571357/);
  }
  assert.match(String(call("number", "set_value").data_json), /13571357/);
  for (const odd of [null, "13571357", [1], {}]) {
    const { data_json } = call("text", "set_value", { service_data: odd });
    assert.equal(
      data_json,
      `{"domain":"text","service":"set_value","service_data":${JSON.stringify(odd)}}`,
    );
  }
});

Deno.test("tidyPoint stores no text with a token of an event, whatever it becomes", () => {
  const token = "/x?token=13571357";
  const { tags, fields } = tidy({
    event_type: token,
    data: { entity_id: [token, "light.a"], domain: token, service: token },
    origin: token,
    context: { id: token, parent_id: token, user_id: token },
  }, { source: token });
  assert.ok(!JSON.stringify({ tags, fields }).includes("13571357"));
  assert.equal(fields.entity_ids, "***, light.a");
  const info = tidy({
    event_type: "entity_info",
    data: { entity_id: "sensor.a", name: token, unit: token, labels: ["one", token] },
  });
  assert.ok(!JSON.stringify([info.tags, info.fields]).includes("13571357"));
  assert.equal(info.fields.labels, "one, ***");
});

Deno.test("tidyPoint keeps the digits of whole numbers beyond 2^53 in data_json", () => {
  const data = '{"long":9007199254740993,"list":[-123456789012345678901234567890,1.0,' +
    '"9007199254740993"],"code":9007199254740995,"deep":{"pin":9007199254740997}}';
  const { fields } = tidyText(
    `{"event_type":"x","time_fired":"${FIRED}","origin":"LOCAL","data":${data}}`,
  );
  assert.equal(
    fields.data_json,
    '{"long":9007199254740993,"list":[-123456789012345678901234567890,1,' +
      '"9007199254740993"],"code":"***","deep":{"pin":"***"}}',
  );
  assert.equal(fields.long, 9007199254740992, "a field is a number");
});

Deno.test("tidyPoint tags an event with the one entity it is about", () => {
  const entityOf = (data: object) => tidy({ event_type: "x", data }).tags.entity_id;
  const elsewhere = { service_data: { entity_id: "light.b" }, target: { entity_id: "light.c" } };
  assert.equal(entityOf({ entity_id: "light.a", ...elsewhere }), "light.a");
  assert.equal(entityOf(elsewhere), "light.b");
  assert.equal(entityOf({ service_data: {}, target: { entity_id: ["light.c"] } }), "light.c");
  assert.equal(entityOf({ entity_id: 5, service_data: null, target: ["light.c"] }), undefined);
  const several = tidy({
    event_type: "x",
    data: { service_data: { entity_id: "light.a, light.b" } },
  });
  assert.equal(several.tags.entity_id, undefined);
  assert.equal(several.fields.entity_ids, "light.a, light.b");
});

Deno.test("tidyPoint bounds what it keeps of an event, and always keeps its origin", () => {
  const many = Object.fromEntries(Array.from({ length: 25 }, (_, n) => [`k${n}`, n]));
  const { fields, leftOut } = tidy({ event_type: "x", data: { nil: null, ...many } });
  assert.equal(Object.keys(fields).filter((name) => /^k\d/.test(name)).length, 20);
  assert.deepEqual(leftOut, { too_many: 5 });
  const large = tidy({ event_type: "x", origin: "", data: { list: ["x".repeat(65_536)], "": 1 } });
  assert.deepEqual(large.fields, { origin: "" });
  assert.deepEqual(large.leftOut, { too_large: 1, empty_name: 1 });
  assert.deepEqual(tidy({ event_type: "x", data: { story: "x".repeat(256) } }).leftOut, {
    long_text: 1,
  });
});

Deno.test("tidyPoint tells events of one microsecond apart by their text", () => {
  const at = (n: number) => tidy({ event_type: "x", data: { n } }).timeNs;
  assert.equal(at(1), at(1));
  assert.notEqual(at(1), at(2));
  assert.equal(at(1) / 1000n, FIRED_NS / 1000n);
});

Deno.test("tidyPoint of an entity_info has what the registries say, empty where they say nothing", () => {
  const data = {
    entity_id: "sensor.a",
    name: "A",
    area: null,
    labels: ["one", "two"],
    platform: "demo",
    unit: "W",
    old_entity_id: "sensor.b",
  };
  assert.equal(
    tidy({ event_type: "entity_info", data: { entity_id: "sensor.a", unit: "\u00b5s" } }).fields
      .unit,
    "\u03bcs",
  );
  const { timeNs, ...point } = tidy(
    { event_type: "entity_info", data },
    { via: "registry", source: "house" },
  );
  assert.equal(timeNs / 1000n, FIRED_NS / 1000n);
  assert.deepEqual(point, {
    measurement: "entities",
    tags: { entity_id: "sensor.a", source: "house" },
    fields: {
      name: "A",
      area: "",
      floor: "",
      device: "",
      manufacturer: "",
      model: "",
      platform: "demo",
      entity_category: "",
      unit: "W",
      device_class: "",
      state_class: "",
      labels: "one, two",
      removed: 0,
      old_entity_id: "sensor.b",
    },
    leftOut: {},
  });
});
