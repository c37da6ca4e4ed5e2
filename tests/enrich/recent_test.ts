import assert from "node:assert/strict";
import { Recent } from "../../lib/enrich/recent.ts";

function missedOf(recent: Recent<string, number>, keys: readonly string[]): string[] {
  return keys.filter((key) => {
    if (recent.get(key) !== undefined) return false;
    recent.set(key, 1);
    return true;
  });
}

const keys = (count: number) => Array.from({ length: count }, (_, i) => `sensor.s${i}`);

Deno.test("Recent keeps as many as it is made for, however often they are gone through", () => {
  const recent = new Recent<string, number>(100);
  const all = keys(100);
  assert.deepEqual(missedOf(recent, all), all);
  for (let round = 0; round < 10; round++) assert.deepEqual(missedOf(recent, all), []);
});

Deno.test("Recent keeps what is asked for while others come and go, and forgets those", () => {
  const recent = new Recent<string, number>(100);
  recent.set("asked", 1);
  for (const [n, key] of keys(1_000).entries()) {
    recent.set(key, n);
    assert.equal(recent.get("asked"), 1, key);
  }
  assert.equal(recent.get("sensor.s799"), undefined);
  assert.equal(recent.get("sensor.s901"), 901);
});

Deno.test("Recent never holds more than twice as many", () => {
  const recent = new Recent<string, number>(100);
  const all = keys(1_000);
  for (const key of all) recent.set(key, 1);
  // without asking it to keep them
  const held = all.toReversed().findIndex((key) => recent.get(key) === undefined);
  assert.ok(held >= 100 && held <= 200, `${held}`);
});

Deno.test("Recent keeps a key's newest value, and a full one is not emptied by it", () => {
  const recent = new Recent<string, number>(2);
  recent.set("a", 1);
  recent.set("b", 1);
  for (let value = 2; value < 9; value++) {
    recent.set("a", value);
    assert.equal(recent.get("a"), value);
  }
  recent.set("c", 1);
  recent.set("a", 9);
  assert.deepEqual(["a", "b", "c"].map((key) => recent.get(key)), [9, 1, 1]);
});

Deno.test("Recent is enough for a house of 60,000 entities", () => {
  const recent = new Recent<string, number>();
  const all = keys(60_000);
  missedOf(recent, all);
  assert.deepEqual(missedOf(recent, all), []);
});
