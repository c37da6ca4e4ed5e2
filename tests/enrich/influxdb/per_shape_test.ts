import assert from "node:assert/strict";
import { type Names, perNames, perShape } from "../../../lib/enrich/influxdb/per_shape.ts";
import type { FieldValue } from "../../../lib/enrich/store.ts";

Deno.test("perShape asks again where the measurement, the tags or a field's name is another", () => {
  const asked: string[] = [];
  const answerFor = perShape(({ measurement, tags, fields }) => {
    const answer = [measurement, ...tags.values(), ...fields.keys()].join(" ");
    asked.push(answer);
    return answer;
  });
  const tags = new Map([["entity_id", "sensor.a"]]);
  const answer = (fields: readonly (readonly [string, FieldValue])[], measurement = "m") =>
    answerFor({ measurement, tags, fields: new Map(fields), timeNs: BigInt(asked.length) });

  assert.equal(answer([["a", 1], ["b", 2]]), "m sensor.a a b");
  assert.equal(answer([["a", 3], ["b", "text"]]), "m sensor.a a b");
  assert.equal(asked.length, 1);
  assert.equal(answer([["b", 2], ["a", 1]]), "m sensor.a b a");
  assert.equal(answer([["b", 2]]), "m sensor.a b");
  assert.equal(answer([["b", 2], ["c", 1]]), "m sensor.a b c");
  assert.equal(answer([["b", 2], ["c", 1], ["d", 1]]), "m sensor.a b c d");
  assert.equal(answer([["b", 2], ["c", 1], ["d", 1]], "n"), "n sensor.a b c d");
  const other = new Map([["entity_id", "sensor.b"]]);
  const fields = new Map([["b", 2], ["c", 1], ["d", 1]]);
  assert.equal(
    answerFor({ measurement: "n", tags: other, fields, timeNs: 1n }),
    "n sensor.b b c d",
  );
});

Deno.test("perShape asks again where it has failed", () => {
  let asked = 0;
  const answerFor = perShape(() => {
    if (asked++ === 0) throw new Error("not yet");
    return "answer";
  });
  const point = { measurement: "m", tags: new Map(), fields: new Map([["f", 1]]), timeNs: 1n };
  assert.throws(() => answerFor(point), /not yet/);
  assert.equal(answerFor(point), "answer");
});

Deno.test("perShape keeps apart what two functions know of the same tags", () => {
  const [first, second] = [1, 2].map((number) => {
    let asked = 0;
    return perShape(() => `${number}, asked ${++asked} times`);
  });
  const point = { measurement: "m", tags: new Map(), fields: new Map([["f", 1]]), timeNs: 1n };
  for (let round = 0; round < 2; round++) {
    assert.equal(first?.(point), "1, asked 1 times");
    assert.equal(second?.(point), "2, asked 1 times");
  }
});

Deno.test("perShape gives the same list of names wherever the names and their order are the same", () => {
  const given: Names[] = [];
  const answerFor = perShape((_, names) => given.push(names));
  const namesOf = (...names: string[]) => {
    const fields = new Map(names.map((name) => [name, 1]));
    answerFor({ measurement: "m", tags: new Map(), fields, timeNs: 1n });
    return given.at(-1);
  };
  const names = namesOf("value", "available");
  assert.deepEqual(names, ["value", "available"]);
  assert.equal(namesOf("value", "available"), names);
  assert.deepEqual(namesOf("available", "value"), ["available", "value"]);
  assert.deepEqual(namesOf('value","available'), ['value","available']);
  // a long list is not kept for others
  const long = Array.from({ length: 1_000 }, (_, n) => `attribute_${n}`);
  assert.deepEqual(namesOf(...long), long);
  assert.notEqual(namesOf(...long), namesOf(...long));
});

Deno.test("perNames asks once for a list", () => {
  const asked: Names[] = [];
  const lengthOf = perNames((names) => (asked.push(names), names.length));
  const [one, other]: Names[] = [["a", "b"], ["a"]];
  assert.deepEqual([one, other, one].map((names) => lengthOf(names ?? [])), [2, 1, 2]);
  assert.deepEqual(asked, [one, other]);
});
