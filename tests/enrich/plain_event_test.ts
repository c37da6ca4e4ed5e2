import fc from "fast-check";
import assert from "node:assert/strict";
import { envelopeSchema, stateChangedSchema } from "../../lib/contract.ts";
import { isPlainEnvelope, isPlainStateChanged } from "../../lib/enrich/plain_event.ts";
import { changed, paths } from "../changed_json.ts";

const TIME = "2026-06-25T21:20:05.162552+00:00";

function state(attributes: object) {
  return {
    entity_id: "sensor.kitchen",
    state: "21.5",
    attributes,
    last_changed: TIME,
    last_reported: TIME,
    last_updated: TIME,
    context: { id: "01KW", parent_id: null, user_id: null },
  };
}

const ENVELOPE = {
  event: {
    event_type: "state_changed",
    data: {
      entity_id: "sensor.kitchen",
      old_state: state({ unit_of_measurement: "°C" }),
      new_state: state({ unit_of_measurement: "°C", list: [1] }),
    },
    origin: "LOCAL",
    time_fired: TIME,
    context: { id: "01KW", parent_id: null, user_id: "abc" },
  },
  registry: { name: "Kitchen", area: "Ground", floor: null, device: "Plug" },
  source: "cabin",
  via: "history",
};

const VALUES: readonly unknown[] = [
  undefined,
  null,
  "",
  "text",
  "a.b",
  ".b",
  "a.",
  "a.b.c",
  "snapshot",
  "yesterday",
  TIME,
  "2026-06-25T21:20:05Z",
  "2026-02-31T21:20:05.162552+00:00",
  5,
  true,
  [],
  ["a"],
  {},
  { id: 5 },
  { name: "x" },
];

Deno.test("What plainly is an envelope is one to the schema, and says the same", () => {
  assert.ok(isPlainEnvelope(ENVELOPE) && isPlainStateChanged(ENVELOPE.event.data));
  const place = fc.constantFrom(...paths(ENVELOPE));
  const change = fc.tuple(place, fc.oneof(fc.constantFrom(...VALUES), fc.jsonValue()));
  let plain = 0;
  fc.assert(
    fc.property(fc.array(change, { maxLength: 3 }), (changes) => {
      const json: unknown = JSON.parse(
        JSON.stringify(
          changes.reduce<unknown>((value, [path, other]) => changed(value, path, other), ENVELOPE),
        ) ?? "null",
      );
      if (!isPlainEnvelope(json)) return;
      const envelope = envelopeSchema.parse(json);
      assert.deepEqual(envelope.event, json.event);
      assert.deepEqual([envelope.source, envelope.via], [json.source, json.via]);
      for (const name of ["name", "area", "floor", "device"] as const) {
        assert.equal(envelope.registry?.[name], json.registry?.[name]);
      }
      const { data } = json.event;
      if (!isPlainStateChanged(data)) return;
      plain++;
      assert.deepEqual(stateChangedSchema.parse(data), data);
    }),
    { numRuns: 20_000 },
  );
  assert.ok(plain > 1_000, `${plain} were plain`);
});

Deno.test("What the schema takes of what Home Assistant sends is plain", () => {
  for (const [path, other] of [[["registry"], null], [["event", "context"], undefined]] as const) {
    assert.ok(isPlainEnvelope(changed(ENVELOPE, path, other)), path.join("."));
  }
  for (const name of ["old_state", "new_state"]) {
    const data = { ...ENVELOPE.event.data, [name]: null };
    assert.ok(isPlainStateChanged(data), name);
  }
});

Deno.test("What the schema refuses in one place is never plain", () => {
  let refused = 0;
  for (const path of paths(ENVELOPE)) {
    for (const value of VALUES) {
      const json = changed(ENVELOPE, path, value);
      const envelope = envelopeSchema.safeParse(json);
      const data = stateChangedSchema.safeParse(envelope.data?.event.data);
      if (envelope.success && data.success) continue;
      refused++;
      const isPlain = isPlainEnvelope(json) && isPlainStateChanged(json.event.data);
      assert.ok(!isPlain, `${path.join(".")}: ${JSON.stringify(value)}`);
    }
  }
  assert.ok(refused > 300, `${refused} were refused`);
});
