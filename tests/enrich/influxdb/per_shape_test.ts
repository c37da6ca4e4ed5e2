import assert from "node:assert/strict";
import { perShape } from "../../../lib/enrich/influxdb/per_shape.ts";
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
