import assert from "node:assert/strict";
import { entityValues } from "../../../lib/enrich/rules/entity_values.ts";

interface Values {
  readonly override: string;
  readonly ignored: readonly string[];
  readonly from: string;
}

const values = entityValues<Values>(
  new Map([["light.desk_lamp", { from: "exact" }], ["sensor.a", { override: "exact" }]]),
  new Map([["light", { override: "domain", ignored: ["a"], from: "domain" }]]),
  new Map<string, Partial<Values>>([
    ["light.*", { override: "first glob", from: "first glob" }],
    ["*_lamp", { override: "second glob" }],
    ["switch.*", { override: "switch" }],
  ]),
);

Deno.test("entityValues gives the domain's values, then each glob's in order, then the entity's own, key by key", () => {
  const expected: Readonly<Record<string, Partial<Values>>> = {
    "light.desk_lamp": { override: "second glob", ignored: ["a"], from: "exact" },
    "light.desk": { override: "first glob", ignored: ["a"], from: "first glob" },
    "sensor.a": { override: "exact" },
    "sensor.lamp": {},
    "sensor.my_lamp": { override: "second glob" },
    "lights.a": {},
  };
  for (const [entityId, value] of Object.entries(expected)) {
    assert.deepEqual(values(entityId), value, entityId);
    assert.deepEqual(values(entityId), value, `${entityId}, asked again`);
  }
});

Deno.test("entityValues answers the same when it has forgotten what it knew", () => {
  for (let n = 0; n < 140_000; n++) {
    assert.deepEqual(values(`switch.a${n}`), { override: "switch" });
  }
  assert.equal(values("light.desk").from, "first glob");
});
