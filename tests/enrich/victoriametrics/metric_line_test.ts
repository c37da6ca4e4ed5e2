import assert from "node:assert/strict";
import fc from "fast-check";
import { metricLine, numbersOf } from "../../../lib/enrich/victoriametrics/metric_line.ts";
import { ServerStore } from "../../../lib/enrich/victoriametrics/server_store.ts";
import type { FieldValue, StorePoint } from "../../../lib/enrich/store.ts";
import { FakeVictoriaMetrics, seriesOf } from "../../stand_ins/fake_victoriametrics.ts";

function pointOf(
  measurement: string,
  tags: Readonly<Record<string, string>>,
  fields: readonly (readonly [string, FieldValue])[],
  timeNs = 1_795_646_290_000_000_000n,
): StorePoint {
  return { measurement, tags: new Map(Object.entries(tags)), fields: new Map(fields), timeNs };
}

Deno.test("metricLine writes a backslash before what VictoriaMetrics reads as its own, and doubles it", () => {
  const tags = { "a b": "c,d=e", "x\\": "y\\", empty: "", q: 'say "x"' };
  assert.equal(
    metricLine(pointOf("m ,\\=", tags, [['a"b', 1.5], ["c\\ d", -2e-7]])),
    'm\\ \\,\\\\\\=,a\\ b=c\\,d\\=e,x\\\\=y\\\\,q=say\\ "x" a\\"b=1.5,c\\\\\\ d=-2e-7 1795646290000000000',
  );
});

Deno.test("metricLine keeps the names that VictoriaMetrics or InfluxDB take for their own, with a _", () => {
  assert.equal(
    metricLine(pointOf("#m", { time: "t", __name__: "n", "a\nb": "c\r\n\t\0" }, [["time", 1]])),
    "_#m,time_=t,__name___=n,a\\\\nb=c\\r\\n\\t\\0 time_=1 1795646290000000000",
  );
});

Deno.test("metricLine refuses what would be stored as something else, and names it", () => {
  const cases: readonly [StorePoint, RegExp][] = [
    [pointOf("", {}, [["v", 1]]), /measurement has no name/],
    [pointOf("m", {}, []), /no fields/],
    [pointOf("m", {}, [["v", NaN]]), /Field "v" is NaN/],
    [pointOf("m", { "": "x" }, [["v", 1]]), /Tag without a name/],
    [pointOf("m", {}, [["", 1]]), /Field without a name/],
    [pointOf("m", {}, [["a\nb", 1], ["a\\nb", 2]]), /under the name of another/],
    [pointOf("m", { time: "1", time_: "2" }, [["v", 1]]), /Tag "time_" would be written under/],
    [pointOf("m", {}, [["v", 1]], 0n), /nothing from before 2 January 1970/],
    [pointOf("m", {}, [["v", 1]], 86_399_999_999_999n), /nothing from before 2 January 1970/],
  ];
  for (const [point, reason] of cases) assert.throws(() => metricLine(point), reason);
});

Deno.test("metricLine writes points that share their tags as it writes each alone", () => {
  const shared = pointOf("m", { "a b": "c" }, []);
  const points = [
    pointOf("m", {}, [["v", 1], ["a b", 2]]),
    pointOf("m", {}, [["v", 3], ["a b", 4]]),
    pointOf("m", {}, [["a b", 5], ["v", 6]]),
    pointOf("m", {}, [["v", 7]], 1_795_646_290_000_000_001n),
    pointOf("n", {}, [["v", 8]]),
    pointOf("n", {}, [["w", 9]]),
  ].map((point) => ({ ...point, tags: shared.tags }));
  const alone = points.map((point) => metricLine({ ...point, tags: new Map(point.tags) }));
  assert.deepEqual(points.map(metricLine), alone);
  assert.equal(alone[0], "m,a\\ b=c v=1,a\\ b=2 1795646290000000000");
});

Deno.test("numbersOf keeps the numbers, counts the texts, and finds nothing in texts alone", () => {
  const numbers = numbersOf(pointOf("m", {}, [["v", 1], ["state", "on"], ["0", 0]]));
  assert.deepEqual(numbers?.point.fields, new Map([["v", 1], ["0", 0]]));
  assert.equal(numbers?.texts, 1);
  assert.equal(numbersOf(pointOf("m", {}, [["state", "on"], ["number", "1"]])), undefined);
});

Deno.test("What metricLine writes is read as it was, whatever names and tags hold", async () => {
  await using fake = await FakeVictoriaMetrics.start();
  const text = fc.string({ unit: fc.constantFrom("a", "\\", " ", ",", "=", '"', "#", "é", "n") });
  const name = text.filter((value) => value !== "");
  await fc.assert(
    fc.asyncProperty(name, fc.dictionary(name, text), name, async (measurement, tags, field) => {
      fake.samples.length = 0;
      const store = new ServerStore({ url: fake.url, version: 2, org: "o", bucket: "b" });
      const timeMs = Math.floor(Date.now() / 1_000) * 1_000;
      const point = pointOf(measurement, tags, [[field, 1.5]], BigInt(timeMs) * 1_000_000n);
      const [outcome] = await store.write([point], AbortSignal.timeout(10_000));
      store.close();
      assert.deepEqual(outcome, { kind: "stored" });
      const series = seriesOf(
        `${measurement.replace(/^#/, "_#")}_${field.replaceAll('"', '\\"')}`,
        Object.fromEntries(Object.entries(tags).filter(([, value]) => value !== "")),
      );
      assert.deepEqual(fake.samples, [{ series, timeMs, value: 1.5 }]);
    }),
    { numRuns: 100 },
  );
});
