import assert from "node:assert/strict";
import { limitIn } from "../../../lib/enrich/influxdb/server_limit.ts";

Deno.test("a limit of series is known by the words of InfluxDB 1.6 and of 1.13", () => {
  const words = [
    [
      "partial write: max-series-per-database limit exceeded: (3) dropped=1",
      "max-series-per-database",
    ],
    [
      "partial write: max-series-per-database exceeded database=home limit=3 series=3 keys=1 " +
      "dropped=1 for database: home for retention policy: autogen",
      "max-series-per-database",
    ],
    [
      'partial write: max-values-per-tag limit exceeded (100/100): measurement="sensor" tag="entity_id" ' +
      'value="sensor.new" dropped=1',
      "max-values-per-tag",
    ],
  ] as const;
  for (const [reason, name] of words) {
    const found = limitIn({ reason });
    assert.deepEqual([found?.limit.name, found?.dropped], [name, 1], reason);
  }
  for (
    const text of ["max-series-per-database exceeded", "max-series-per-database limit exceeded"]
  ) {
    assert.equal(
      limitIn({ reason: `unable to parse 'sensor state=${text}': missing tag` }),
      undefined,
    );
  }
});
