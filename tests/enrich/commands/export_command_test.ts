import assert from "node:assert/strict";
import { exportStore } from "../../../lib/enrich/commands/export_command.ts";
import { LocalStore } from "../../../lib/enrich/local/local_store.ts";
import type { StorePoint } from "../../../lib/enrich/store.ts";
import type { Environment } from "../../../lib/settings/settings_reader.ts";
import { FakeInfluxDb, type Trouble } from "../../stand_ins/fake_influxdb.ts";
import { FakeVictoriaMetrics } from "../../stand_ins/fake_victoriametrics.ts";
import { TemporaryFolder } from "../../temporary.ts";

const NS_PER_MS = 1_000_000n;

function pointOf(index: number, more: Partial<StorePoint> = {}): StorePoint {
  return {
    measurement: "sensor",
    tags: new Map([["entity_id", `sensor.n${index % 7}`]]),
    fields: new Map([["value", index]]),
    timeNs: BigInt(Date.now()) * NS_PER_MS + BigInt(index),
    ...more,
  };
}

interface Exporting {
  readonly fake: FakeInfluxDb;
  readonly run: (env?: Environment, options?: RunOptions) => Promise<Ran>;
  readonly path: string;
}

interface RunOptions {
  readonly args?: readonly string[];
  readonly columns?: number;
  readonly onWrite?: (written: string) => void;
}

interface Ran {
  readonly status: number;
  readonly written: string;
  readonly complained: string;
}

/** A local store with these points, and an InfluxDB to export them to. */
async function exporting(
  points: readonly StorePoint[],
  test: (exporting: Exporting) => Promise<void>,
  retentionMs?: number,
): Promise<void> {
  using folder = new TemporaryFolder();
  const path = folder.file("store.sqlite");
  const store = new LocalStore(path, { days: 30, maxBytes: 100_000_000 });
  await store.write(points);
  store.close();
  await using fake = await FakeInfluxDb.start({ version: 1, retentionMs });
  const run = async (env: Environment = {}, { args = [], columns, onWrite }: RunOptions = {}) => {
    let written = "";
    let complained = "";
    const status = await exportStore(
      args,
      () => ({
        DATA_DIR: folder.path,
        INFLUXDB_URL: fake.url,
        INFLUXDB_DATABASE: "home",
        ...env,
      }),
      {
        write: (text) => {
          written += text;
          onWrite?.(written);
        },
        complain: (text) => void (complained += `${text}\n`),
        columns,
        intervalMs: 1,
        lineIntervalMs: 0,
      },
      { baseMs: 2, maxMs: 10 },
    );
    return { status, written, complained };
  };
  await test({ fake, run, path });
}

Deno.test("The export sends every point in batches, and shows how far it is", async () => {
  const points = Array.from({ length: 2_500 }, (_, i) => pointOf(i));
  const text = "ü".repeat(32_768);
  points.push(
    pointOf(1, { measurement: "statistics", fields: new Map([["mean", 1.5]]), timeNs: 0n }),
    pointOf(2_501, {
      fields: new Map<string, string | number>([["state", "removed"], ["available", 0]]),
    }),
    pointOf(2_502, { measurement: "events", fields: new Map([["data_json", text]]) }),
  );
  await exporting(points, async ({ fake, run, path }) => {
    const { status, written, complained } = await run();
    assert.equal(status, 0, complained);
    assert.equal(fake.points.length, 2_503);
    const writes = fake.requests.filter(({ body }) => body !== "");
    assert.equal(writes.length, 3);
    assert.match(written, /^[12],\d{3} of 2,503 points · [\d,]+\/s · \d+ s left$/m);
    assert.match(written, /\nExported 2,503 of 2,503 points in \d s\n$/);
    const stored = fake.points;
    assert.equal((await run()).status, 0);
    assert.deepEqual(fake.points, stored, "running it again changes nothing");
    assert.ok(stored.some(({ fields }) => fields.get("data_json") === text));
    assert.ok(
      stored.some(({ measurement, timeNs }) => measurement === "statistics" && timeNs === 0n),
    );
    const bar = await run({}, { columns: 50 });
    assert.match(bar.written, /\r\[[#-]{24}\] 1,000 of 2,503 /);
    const [last = ""] = bar.written.split("\r\x1b[K").slice(-1);
    assert.match(last, /^Exported 2,503 of 2,503 points in \d s\n$/);
    const local = new LocalStore(path, { days: 30, maxBytes: 100_000_000 });
    assert.equal(local.counts().points, 2_503);
    local.close();
  });
});

Deno.test("The export keeps its batches small where texts are long", async () => {
  const points = Array.from(
    { length: 300 },
    (_, i) => pointOf(i, { fields: new Map([["data_json", String(i % 10).repeat(65_536)]]) }),
  );
  await exporting(points, async ({ fake, run }) => {
    assert.equal((await run()).status, 0);
    assert.equal(fake.points.length, 300);
    const largest = Math.max(...fake.requests.map(({ body }) => body.length));
    assert.ok(largest < 4_200_000, `${largest} characters`);
  });
});

Deno.test("The export leaves out what is beyond the retention, names what is refused, and ends with 1", async () => {
  const old = (i: number) => pointOf(i, { timeNs: 1_700_000_000_000_000_000n + BigInt(i) });
  const bad = (i: number) =>
    pointOf(i, {
      fields: new Map([["value", "text"]]),
      timeNs: BigInt(Date.now()) * NS_PER_MS + 1_000_000n + BigInt(i),
    });
  const points = [
    ...Array.from({ length: 900 }, (_, i) => old(i)),
    ...Array.from({ length: 100 }, (_, i) => pointOf(i)),
    ...Array.from({ length: 8 }, (_, i) => bad(i * 7)),
  ];
  await exporting(points, async ({ fake, run }) => {
    await fetch(`${fake.url}/write?db=home`, { method: "POST", body: "sensor value=1" });
    const { status, written, complained } = await run();
    assert.equal(status, 1);
    assert.match(written, /Exported 100 of 1,008 points in \d s, 900 left out \(older than/);
    assert.match(complained, /^8 points cannot be stored, the first of them:$/m);
    const reasons = complained.match(
      /^sensor of sensor\.n0 at \d{4}-.*Z: InfluxDB answered 400: .*type conflict.*$/gm,
    );
    assert.equal(reasons?.length, 5);
    assert.ok(fake.requests.length < 80, `${fake.requests.length} requests`);
    assert.equal(fake.points.length, 101);
  }, 3_600_000);
});

Deno.test("The export says what a limit of InfluxDB is in the way of, and sends that again when it is run again", async () => {
  await exporting(Array.from({ length: 70 }, (_, i) => pointOf(i)), async ({ fake, run }) => {
    const body = [0, 1, 2].map((n) => `sensor,entity_id=sensor.n${n} value=1 1`).join("\n");
    await fetch(`${fake.url}/write?db=home`, { method: "POST", body });
    fake.maxSeries = 3;
    const limited = await run();
    assert.equal(limited.status, 1);
    assert.match(limited.written, /Exported 30 of 70 points in/);
    assert.match(limited.complained, /^40 points cannot be stored, the first of them:$/m);
    assert.match(
      limited.complained,
      /max-series-per-database limit exceeded: \(3\); raise max-ser/,
    );
    fake.maxSeries = Infinity;
    const raised = await run();
    assert.deepEqual([raised.status, raised.complained], [0, ""]);
    assert.equal(fake.points.length, 73);
  });
});

Deno.test("The export waits for an InfluxDB that is away, says why, and goes on", async () => {
  const points = Array.from({ length: 1_500 }, (_, i) => pointOf(i));
  const troubles: Trouble[] = [
    "reset",
    "login page",
    { status: 503, headers: { "retry-after": "1" }, body: '{"error":"engine is full"}' },
    { status: 401, body: '{"error":"authorization failed"}' },
    { status: 500 },
  ];
  await exporting(points, async ({ fake, run }) => {
    fake.trouble = ({ body }) => body === "" ? undefined : troubles.shift();
    const since = performance.now();
    const { status, written, complained } = await run();
    assert.equal(status, 0, complained);
    assert.equal(fake.points.length, 1_500);
    assert.match(written, / points · [\d,]+\/s · Cannot write to InfluxDB: .*engine is full/);
    assert.ok(performance.now() - since > 900, "it was left alone for a second");
    assert.doesNotMatch(written, /left alone/, "it was not tried meanwhile");
  });
  await exporting(points, async ({ fake, run }) => {
    await fake.stop();
    let restarting: Promise<void> | undefined;
    const onWrite = (written: string) => {
      if (written.includes("connection refused")) restarting ??= fake.restart();
    };
    const { status } = await run({}, { onWrite });
    await restarting;
    assert.equal(status, 0);
    assert.equal(fake.points.length, 1_500);
  });
});

Deno.test("The export sends again what InfluxDB did not answer for", async () => {
  const timeNs = (i: number) => BigInt(1_000 + i);
  const points = Array.from({ length: 8 }, (_, i) => {
    const fields = new Map([["value", i === 1 ? "text" : i]]);
    return pointOf(0, { fields, timeNs: timeNs(i) });
  });
  await exporting(points, async ({ fake, run }) => {
    // nothing, all, 0-3, 0-1, 0, 1; then 2-3
    fake.trouble = (_, index) => index === 6 ? { status: 500 } : undefined;
    const { status, written } = await run();
    assert.equal(status, 1);
    assert.match(written, /Exported 7 of 8 points/);
    assert.equal(fake.points.length, 7);
  });
});

Deno.test("The export sends less at once to a store that fails with more", async () => {
  const points = Array.from({ length: 1_000 }, (_, i) => pointOf(i));
  await exporting(points, async ({ fake, run }) => {
    fake.trouble = ({ body }) => body.split("\n").length > 100 ? { status: 500 } : undefined;
    assert.equal((await run()).status, 0);
    assert.equal(fake.points.length, 1_000);
  });
});

Deno.test("The export ends where a person must fix something, and says what, after a few tries", async () => {
  const points = Array.from({ length: 1_500 }, (_, i) => pointOf(i));
  await exporting(points, async ({ fake, run }) => {
    fake.trouble = (_, index) => index === 2 ? void fake.places.clear() : undefined;
    const { status, written, complained } = await run();
    assert.equal(status, 1);
    assert.match(written, /\nExported 1,000 of 1,500 points in \d s\n$/);
    assert.match(complained, /^Cannot write to InfluxDB: .*"enrich check --create"/);
    assert.equal(fake.requests.length, 5);
    fake.places.add("home");
    assert.equal((await run()).status, 0);
    assert.equal(fake.points.length, 1_500);
  });
});

Deno.test("The export ends with 2 where it is asked or configured wrong", async () => {
  await exporting([pointOf(1)], async ({ fake, run, path }) => {
    const wrong = async (message: RegExp, env: Environment = {}, args: readonly string[] = []) => {
      const { status, complained } = await run(env, { args });
      assert.match(complained, message);
      assert.equal(status, 2);
    };
    await wrong(/--all.*see --help/, {}, ["--all"]);
    await wrong(/^INFLUXDB_URL is not set: it must name where/, {
      INFLUXDB_URL: undefined,
      INFLUXDB_DATABASE: undefined,
    });
    await wrong(/^warning: INFLUXDB_ULR is no setting.*\nINFLUXDB_URL must begin/, {
      INFLUXDB_ULR: "http://127.0.0.1:8086",
      INFLUXDB_URL: "x",
    });
    await wrong(/^SCHEMA is homeassistant, .*points of SCHEMA=tidy/, { SCHEMA: "homeassistant" });
    await wrong(/^There is no local store .*nowhere\/store\.sqlite: check DATA_DIR/, {
      DATA_DIR: `${path}/nowhere`,
    });
    const help = await run({}, { args: ["--help"] });
    assert.equal(help.status, 0);
    assert.match(help.written, /^Usage: enrich export$/m);
    const held = new LocalStore(path, { days: 30, maxBytes: 100_000_000 });
    const { status, complained } = await run();
    held.close();
    assert.equal(status, 1);
    assert.match(complained, /^Cannot open .*: another process holds it/);
    assert.equal(fake.requests.length, 0);
  });
});

Deno.test("The export of an empty store is done at once", async () => {
  await exporting([], async ({ run }) => {
    const { status, written } = await run();
    assert.equal(status, 0);
    assert.equal(written, "Exported 0 of 0 points in 0 s\n");
  });
});

Deno.test("The export to VictoriaMetrics sends the numbers of what it keeps, and says what is left out and why", async () => {
  const timeNs = BigInt(Date.now()) * 1_000_000n;
  const points = [
    pointOf(1, {
      timeNs,
      fields: new Map<string, string | number>([["value", 1], ["state", "1"]]),
    }),
    pointOf(2, { timeNs, fields: new Map([["state", "on"]]) }),
    pointOf(3, { timeNs, fields: new Map([["state", "off"]]) }),
    pointOf(4, { timeNs: timeNs - 3_000_000_000_000_000n, fields: new Map([["value", 4]]) }),
  ];
  await using victoria = await FakeVictoriaMetrics.start();
  await exporting(points, async ({ run }) => {
    const { status, written, complained } = await run({ INFLUXDB_URL: victoria.url });
    assert.equal(status, 0, complained);
    assert.match(
      written,
      /Exported 1 of 4 points in \d s, 1 left out \(older than is kept there\), 2 left out \(without a number/,
    );
    assert.deepEqual(victoria.samples.map(({ value }) => value), [1]);
  });
});
