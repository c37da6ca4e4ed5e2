import assert from "node:assert/strict";
import { type EntityTags, entityTagsOf, tagsOf } from "../../../lib/enrich/tidy/tags.ts";

const CANDIDATES: EntityTags = {
  entity_id: "sensor.kitchen",
  name: "Kitchen",
  area: "Ground",
  floor: undefined,
  device: null,
  device_class: "temperature",
  unit: "°C",
  source: undefined,
};

/** As nobody remembers them. */
function freshTags(candidates: EntityTags) {
  return [...tagsOf({ ...candidates })];
}

Deno.test("An entity's points share their tags for as long as none of them changes", () => {
  const tags = entityTagsOf({ ...CANDIDATES });
  assert.equal(entityTagsOf({ ...CANDIDATES }), tags);
  assert.deepEqual([...tags], freshTags(CANDIDATES));
});

Deno.test("A changed tag of an entity counts at once, each of them, and back again", () => {
  for (const name of Object.keys(CANDIDATES)) {
    for (const value of ["other", "µ", "x?token=1", "", null, undefined, 5, ["other"]]) {
      if (name === "entity_id" && typeof value !== "string") continue;
      const changed = { ...CANDIDATES, [name]: value };
      assert.deepEqual([...entityTagsOf(changed)], freshTags(changed), `${name}: ${value}`);
      assert.deepEqual([...entityTagsOf(CANDIDATES)], freshTags(CANDIDATES), `after ${name}`);
    }
  }
});

Deno.test("Tags are right of more entities than are remembered, and of two houses at once", () => {
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 280_000; n++) {
      const source = n % 3 === 0 ? "cabin" : undefined;
      const candidates = { ...CANDIDATES, entity_id: `sensor.s${n >> 1}`, source, area: `A${n}` };
      const tags = entityTagsOf(candidates);
      assert.equal(tags.get("entity_id"), candidates.entity_id);
      assert.equal(tags.get("area"), candidates.area);
      assert.equal(tags.get("source"), source);
    }
  }
});

Deno.test("In a house of 20,000 entities that speak one after the other each has its tags still", () => {
  const round = () =>
    Array.from(
      { length: 20_000 },
      (_, n) => entityTagsOf({ ...CANDIDATES, entity_id: `sensor.large_${n}` }),
    );
  const first = round();
  assert.equal(round().filter((tags, n) => tags !== first[n]).length, 0);
});

Deno.test("Tags that are long, or hide something large, are not remembered", () => {
  const large: unknown[] = ["x".repeat(2_000), `${"x".repeat(2_000)}?token=1`, ["x"], { a: "x" }];
  for (const area of large) {
    const candidates = { ...CANDIDATES, area };
    const tags = entityTagsOf(candidates);
    assert.deepEqual([...tags], freshTags(candidates));
    assert.notEqual(entityTagsOf({ ...candidates }), tags);
  }
});
