import fc from "fast-check";
import assert from "node:assert/strict";
import { InfluxDb } from "../../lib/enrich/influxdb/influxdb.ts";
import type { StorePoint } from "../../lib/enrich/store.ts";
import { readBack } from "../enrich/influxdb/read_back.ts";
import { differences } from "./parts/expected_point.ts";
import { REAL_INFLUXDBS, type RealInfluxDb } from "./parts/influxdbs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

/** The points'; others: SEED=n. */
const SEED = Number(Deno.env.get("SEED") ?? "5");
const COUNT = 1_000;
const T0_NS = 1_782_422_405_162_552_000n;

const hostileText = fc.string({
  unit: fc.constantFrom("\\", "\\", " ", ",", "=", '"', "a", "\n", "\0"),
  maxLength: 6,
});

/** Points whose tags are full of backslashes, and whose texts have quotation marks and line breaks. */
const hostilePoints: readonly StorePoint[] = fc.sample(
  fc.tuple(fc.array(fc.tuple(hostileText, hostileText), { maxLength: 4 }), hostileText),
  { numRuns: COUNT, seed: SEED },
).map(([tags, text], n) => ({
  measurement: "m",
  tags: new Map(tags.map(([name, value], i) => [`k${i}${name}`, value])),
  fields: new Map<string, string | number>([["f", n], ['g"', text], ["h", 'a\n"b",c= d\\']]),
  timeNs: T0_NS + BigInt(n),
}));

async function holdsAll({ options, allPoints }: RealInfluxDb): Promise<void> {
  const outcomes = await new InfluxDb(options).write(hostilePoints, AbortSignal.timeout(60_000));
  const refused = outcomes.filter(({ kind }) => kind !== "stored");
  assert.deepEqual(refused, []);
  const expected = hostilePoints.map(readBack).map(({ measurement, tags, fields, timeNs }) => ({
    measurement,
    tags: Object.fromEntries(tags),
    fields: Object.fromEntries(fields),
    timeNs,
  }));
  assert.deepEqual(differences(expected, await allPoints()), { missing: [], surplus: [] });
  const kept = hostilePoints.filter(({ tags }) =>
    [...tags].flat().some((text) => /\\[,= ]/.test(text))
  );
  const exact = kept.filter((point) => {
    const { tags } = readBack(point);
    return ![...tags].flat().some((text) => text.includes("\\_"));
  });
  assert.ok(exact.length > COUNT / 20, `only ${exact.length} of them are kept as they are`);
  measured(
    `${COUNT} points with backslashes in their tags (SEED=${SEED}): of ${kept.length} with one ` +
      `before a special character ${exact.length} are kept as they are`,
  );
}

for (const [name, open] of Object.entries(REAL_INFLUXDBS)) {
  realTest(`${name} gives backslashes in tags back as they were, but for a last one`, async () => {
    await using influxDb = await open();
    await holdsAll(influxDb);
  });
}
