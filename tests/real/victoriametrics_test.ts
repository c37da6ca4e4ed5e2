import assert from "node:assert/strict";
import * as z from "zod";
import { setTimeout as delay } from "node:timers/promises";
import { InfluxDb } from "../../lib/enrich/influxdb/influxdb.ts";
import { metricLine } from "../../lib/enrich/victoriametrics/metric_line.ts";
import {
  ServerStore,
  type ServerStoreOptions,
} from "../../lib/enrich/victoriametrics/server_store.ts";
import type { FieldValue, PointOutcome, StorePoint } from "../../lib/enrich/store.ts";
import type { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { until } from "../until.ts";
import { byReason, equationOf, total } from "./parts/metrics_text.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { SimulatedPipeline } from "./parts/simulated_pipeline.ts";
import { type StoredSample, VictoriaMetricsServer } from "./parts/victoriametrics.ts";

const firedSchema = z.object({
  event_type: z.string(),
  data: z.object({
    entity_id: z.string().optional(),
    new_state: z.object({ state: z.string(), last_updated: z.string() }).nullish(),
  }),
});

const DAY_MS = 86_400_000;
const FOREVER = "-retentionPeriod=100y";
const UNITED = "-dedup.minScrapeInterval=1ms";

function soon(): AbortSignal {
  return AbortSignal.timeout(60_000);
}

function storeAt(url: string, options: Partial<ServerStoreOptions> = {}): ServerStore {
  return new ServerStore({ url, version: 1, database: "home", ...options });
}

function point(
  fields: Readonly<Record<string, FieldValue>>,
  timeMs: number,
  tags: Readonly<Record<string, string>> = { entity_id: "sensor.a" },
  measurement = "sensor",
): StorePoint {
  return {
    measurement,
    tags: new Map(Object.entries(tags)),
    fields: new Map(Object.entries(fields)),
    timeNs: BigInt(Math.floor(timeMs)) * 1_000_000n,
  };
}

function kindsOf(outcomes: readonly PointOutcome[]): string[] {
  return outcomes.map((outcome) =>
    outcome.kind === "skipped" ? `skipped ${outcome.reason}` : outcome.kind
  );
}

/** Name and labels but for the database, as one text. */
function seriesOf({ labels: { __name__: name, db: _, ...labels } }: StoredSample): string {
  return JSON.stringify([name, labels]);
}

realTest(
  "VictoriaMetrics gets numbers alone, and throws nothing away of what is sent",
  async () => {
    await using server = await VictoriaMetricsServer.start(FOREVER, UNITED);
    const timeMs = Date.now();
    const store = storeAt(server.url);
    const outcomes = await store.write([
      point({ value: 21.5, state: "warm" }, timeMs),
      point({ state: "on", friendly_name_str: "Küche" }, timeMs),
      point({ value: 0, available: 1 }, timeMs, { entity_id: "light.b" }, "light"),
      point({ value: 1 }, DAY_MS),
      point({ value: 1 }, DAY_MS - 1),
    ], soon());
    assert.deepEqual(kindsOf(outcomes), [
      "stored",
      "skipped no_number",
      "stored",
      "stored",
      "refused",
    ]);
    const stored = (await server.samplesOnceFlushed()).map((sample) =>
      `${seriesOf(sample)} ${sample.timeMs} ${sample.value}`
    );
    assert.deepEqual(
      new Set(stored),
      new Set([
        `["sensor_value",{"entity_id":"sensor.a"}] ${DAY_MS} 1`,
        `["sensor_value",{"entity_id":"sensor.a"}] ${timeMs} 21.5`,
        `["light_available",{"entity_id":"light.b"}] ${timeMs} 1`,
        `["light_value",{"entity_id":"light.b"}] ${timeMs} 0`,
      ]),
    );
    assert.deepEqual(await server.ignored(), {});
    store.close();
  },
);

const HOSTILE_TEXTS = [
  "plain",
  "a b",
  "a,b=c",
  'say "x"',
  "back\\slash",
  "\\",
  "\\\\",
  "a\\ b",
  "a\\,b\\=c\\",
  "#",
  "é漢😀",
  "\u0001\u0002",
  "'",
  " ",
  "x".repeat(4_096),
];

realTest("VictoriaMetrics keeps every character of measurements, tags and fields", async () => {
  await using server = await VictoriaMetricsServer.start(FOREVER, UNITED);
  const store = storeAt(server.url);
  const timeMs = Date.now();
  const texts = HOSTILE_TEXTS.filter((text) => text.length < 200);
  const points = [
    ...texts.map((text, i) => point({ v: i }, timeMs, { entity_id: String(i), name: text })),
    ...HOSTILE_TEXTS.map((text, i) => point({ v: i }, timeMs, { entity_id: "long", x: text })),
    ...texts.map((text, i) => point({ v: i }, timeMs, { [text]: `of ${i}` })),
    ...texts.map((text, i) => point({ v: i }, timeMs, { entity_id: "m" }, text)),
    ...texts.map((text, i) => point({ [text]: i }, timeMs, { entity_id: "f" })),
  ];
  const outcomes = await store.write(points, soon());
  assert.deepEqual(outcomes.filter(({ kind }) => kind !== "stored"), []);
  const expected = points.flatMap(({ measurement, tags, fields }) =>
    [...fields].map(([field, value]) =>
      `${
        JSON.stringify([
          `${measurement.replace(/^#/, "_#")}_${field.replaceAll('"', '\\"')}`,
          Object.fromEntries([...tags].toSorted(([a], [b]) => a < b ? -1 : 1)),
        ])
      } ${value}`
    )
  );
  const stored = (await server.samplesOnceFlushed()).map((sample) => {
    assert.equal(sample.timeMs, timeMs);
    const { __name__: name, db: _, ...labels } = sample.labels;
    const sorted = Object.entries(labels).toSorted(([a], [b]) => a < b ? -1 : 1);
    return `${JSON.stringify([name, Object.fromEntries(sorted)])} ${sample.value}`;
  });
  assert.deepEqual(new Set(stored), new Set(expected));
  assert.deepEqual(await server.ignored(), {});
  store.close();
});

realTest(
  "A quotation mark in a field's name, as InfluxDB gets it, makes VictoriaMetrics store 0 now",
  async () => {
    await using server = await VictoriaMetricsServer.start(FOREVER);
    const timeMs = Date.now() - 600_000;
    const line = metricLine(point({ 'a"b': 5 }, timeMs));
    await server.write(line.replace('a\\"b', 'a"b'));
    const [wrong] = await server.samplesOnceFlushed();
    assert.equal(wrong?.value, 0);
    assert.notEqual(wrong?.timeMs, timeMs);
  },
);

realTest(
  "VictoriaMetrics' retention and its limits of labels leave nothing that it throws away called stored",
  async () => {
    const days = 3;
    await using server = await VictoriaMetricsServer.start(
      `-retentionPeriod=${days}d`,
      "-maxLabelsPerTimeseries=5",
      "-maxLabelValueLen=100",
      "-maxLabelNameLen=20",
      "-http.pathPrefix=/vm",
    );
    const nowMs = Date.now();
    for (const [url, path] of [[server.url, ""], [`${server.url}/influx`, "/influx"]]) {
      const store = storeAt(url);
      const tags = (count: number) =>
        Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, `v${path}`]));
      const outcomes = await store.write([
        point({ v: 1 }, nowMs - days * DAY_MS + 120_000),
        point({ v: 2 }, nowMs - days * DAY_MS + 1_000),
        point({ v: 3 }, nowMs - days * DAY_MS - 1_000),
        point({ v: 4 }, nowMs + 2 * DAY_MS - 120_000),
        point({ v: 5 }, nowMs + 2 * DAY_MS + 120_000),
        // the fifth label is the database
        point({ v: 6 }, nowMs, tags(4)),
        point({ v: 7 }, nowMs, tags(5)),
        point({ v: 8 }, nowMs, { x: "é".repeat(50) }),
        point({ v: 9 }, nowMs, { x: `${"é".repeat(50)}x` }),
        point({ v: 10 }, nowMs, { x: `${"y".repeat(99)}\n` }),
        point({ v: 11 }, nowMs, { ["n".repeat(20)]: "x" }),
        point({ v: 12 }, nowMs, { ["n".repeat(21)]: "x" }),
        point({ v: 13 }, nowMs, { x: "m" }, "m".repeat(98)),
        point({ v: 14 }, nowMs, { x: "m" }, "m".repeat(99)),
      ], soon());
      assert.deepEqual(kindsOf(outcomes), [
        "stored",
        "skipped retention",
        "skipped retention",
        "stored",
        "refused",
        "stored",
        "limited",
        "stored",
        "limited",
        "limited",
        "stored",
        "limited",
        "stored",
        "limited",
      ]);
      const values = (await server.samplesOnceFlushed()).map(({ value }) => value);
      assert.deepEqual(
        new Set(values),
        new Set([1, 4, 6, 8, 11, 13]),
      );
      assert.deepEqual(await server.ignored(), {});
      assert.match(store.status().description, /retention 3d$/);
      store.close();
    }
    // what these limits are for: sent nevertheless, all of it gets a 204 and is gone
    await server.write(metricLine(point({ v: 9 }, nowMs, { x: `${"é".repeat(50)}x` })));
    await server.write(metricLine(point({ v: 3 }, nowMs - days * DAY_MS - 1_000)));
    assert.deepEqual(await server.ignored(), { small_timestamp: 1, too_long_label_value: 1 });
  },
);

realTest(
  "A batch that is sent again is one sample with -dedup.minScrapeInterval, and two without, which is noted",
  async () => {
    await using server = await VictoriaMetricsServer.start(FOREVER);
    const timeMs = Date.now() - 60_000;
    const samples = async (flags: readonly string[]) => {
      await server.restart(...flags);
      const store = storeAt(server.url);
      const batch = Array.from({ length: 10 }, (_, i) => point({ v: i }, timeMs + i));
      for (let times = 0; times < 2; times++) {
        assert.ok((await store.write(batch, soon())).every(({ kind }) => kind === "stored"));
      }
      const notes = store.status().notes?.map(({ name }) => name);
      store.close();
      return { notes, count: (await server.samplesOnceFlushed()).length };
    };
    assert.deepEqual(await samples([FOREVER]), { notes: ["not_deduplicated"], count: 20 });
    assert.deepEqual(await samples([FOREVER, UNITED]), { notes: [], count: 10 });
    const { notes } = await samples([FOREVER, "-dedup.minScrapeInterval=30s"]);
    assert.deepEqual(notes, ["dedup.minScrapeInterval"]);
  },
);

realTest(
  "What a killed VictoriaMetrics had acknowledged and not written down is written again",
  async () => {
    await using server = await VictoriaMetricsServer.start(FOREVER, UNITED);
    const store = storeAt(server.url);
    const stored = new Set<number>();
    const write = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const timeMs = Date.now();
        try {
          const [outcome] = await store.write([point({ v: 1 }, timeMs)], soon());
          if (outcome?.kind === "stored") stored.add(timeMs);
        } catch {
          // it is away
        }
        await delay(20);
      }
    };
    for (let kill = 0; kill < 3; kill++) {
      await write(100);
      await server.kill();
      await server.startAgain();
      if (kill === 0) {
        // the control: without being written again they are gone
        const kept = new Set((await server.samples()).map(({ timeMs }) => timeMs));
        assert.ok([...stored].some((timeMs) => !kept.has(timeMs)), "nothing was lost");
      }
    }
    await write(20);
    await until(async () => {
      await store.check(soon());
      const kept = new Set((await server.samplesOnceFlushed()).map(({ timeMs }) => timeMs));
      return [...stored].every((timeMs) => kept.has(timeMs));
    }, "all that was called stored is there");
    assert.ok(stored.size > 250, `only ${stored.size} were stored`);
    store.close();
  },
);

realTest(
  "What -relabelConfig drops, and what is thrown away of another program's, is noted",
  async () => {
    const dir = await Deno.makeTempDir({ prefix: "relabel-" });
    await Deno.writeTextFile(
      `${dir}/relabel.yml`,
      "- {action: drop, source_labels: [entity_id], regex: sensor.dropped}\n",
    );
    await using server = await VictoriaMetricsServer.start(
      "-retentionPeriod=1d",
      UNITED,
      `-relabelConfig=${dir}/relabel.yml`,
    );
    const store = storeAt(server.url);
    await store.check(soon());
    assert.deepEqual(store.status().notes, []);
    await store.write([point({ v: 1 }, Date.now(), { entity_id: "sensor.dropped" })], soon());
    await server.write(metricLine(point({ v: 1 }, Date.now() - 3 * DAY_MS)));
    const note = await until(async () => {
      await store.check(soon());
      return store.status().notes?.find(({ name }) => name === "thrown_away");
    }, "it is noted");
    assert.match(note.reason, /1 for small_timestamp/);
    assert.match(note.reason, /1 for -relabelConfig/);
    store.close();
    await Deno.remove(dir, { recursive: true });
  },
);

realTest(
  "Lines that VictoriaMetrics refuses are found among others, which are stored",
  async () => {
    await using server = await VictoriaMetricsServer.start(FOREVER, UNITED);
    const bad = new Set([0, 17, 18, 99]);
    const store = new InfluxDb({
      url: server.url,
      version: 1,
      database: "home",
      line: (one) => bad.has(Number(one.fields.get("v"))) ? "m,x=1 v" : metricLine(one),
    });
    const timeMs = Date.now();
    const points = Array.from({ length: 100 }, (_, i) => point({ v: i }, timeMs + i));
    const outcomes = await store.write(points, soon());
    store.close();
    const refused = outcomes.flatMap(({ kind }, i) => kind === "refused" ? [i] : []);
    assert.deepEqual(refused, [...bad]);
    const values = (await server.samplesOnceFlushed()).map(({ value }) => value);
    assert.deepEqual(values, points.map((_, i) => i).filter((i) => !bad.has(i)));
  },
);

realTest(
  "New series beyond -storage.maxHourlySeries are limited, and those that it knows stored",
  async () => {
    await using server = await VictoriaMetricsServer.start(
      FOREVER,
      UNITED,
      "-storage.maxHourlySeries=10",
    );
    const store = storeAt(server.url);
    const timeMs = Date.now();
    const batch = (count: number, from = 0) =>
      Array.from({ length: count }, (_, i) => point({ v: i }, timeMs + from, { x: `${from + i}` }));
    assert.deepEqual(new Set(kindsOf(await store.write(batch(8), soon()))), new Set(["stored"]));
    const outcomes = kindsOf(await store.write([...batch(8), ...batch(8, 100)], soon()));
    const samples = await server.samplesOnceFlushed();
    const has = (x: string) => samples.some(({ labels }) => labels.x === x);
    // it does not tell which ones it has thrown away
    const news = Array.from({ length: 8 }, (_, i) => String(100 + i));
    assert.ok(!news.every(has));
    assert.deepEqual(outcomes, [
      ...Array(8).fill("stored"),
      ...news.map((x) => has(x) ? "stored" : "limited"),
    ]);
    assert.match(store.status().limits?.[0]?.reason ?? "", /-storage.maxHourlySeries/);
    assert.deepEqual(kindsOf(await store.write(batch(8), soon()))[0], "stored");
    store.close();
  },
);

/** Numbered states of some kinds, and an event for each ten of them, until it is disposed of. */
class Source implements Disposable {
  #n = 0;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(hass: SimulatedHomeAssistant) {
    this.#timer = setInterval(() => {
      const n = this.#n++;
      hass.setState(`sensor.numbered_${n % 5}`, String(n), { half: n / 2, text: `the ${n}th` });
      hass.setState("input_text.note", `note ${n}`);
      hass.setState("light.lamp", n % 2 === 0 ? "on" : "off");
      if (n % 10 === 0) hass.fire("numbered", { n });
    }, 40);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

for (const schema of ["tidy", "homeassistant"]) {
  realTest(
    `A house's numbers are in VictoriaMetrics after five kills of it, and the equation holds (SCHEMA=${schema})`,
    async () => {
      await using server = await VictoriaMetricsServer.start(FOREVER, UNITED);
      await using pipeline = await SimulatedPipeline.start({
        store: {
          INFLUXDB_URL: server.url,
          INFLUXDB_DATABASE: "home",
          SCHEMA: schema,
        },
      });
      {
        using _source = new Source(pipeline.hass);
        for (let kill = 0; kill < 5; kill++) {
          await delay(3_000);
          await server.kill();
          await delay(300);
          await server.startAgain();
        }
        await delay(2_000);
      }
      const metrics = await pipeline.untilDrained();
      const { received, ends, text } = equationOf(metrics);
      assert.equal(received, ends, text);
      assert.equal(received, pipeline.fired.length);
      assert.equal(total(metrics, "ingest_events_dead_lettered"), 0, text);
      const skipped = byReason(metrics, "ingest_events_skipped_total");
      assert.equal(skipped.retention, undefined);
      if (schema === "homeassistant") assert.ok((skipped.no_number ?? 0) > 0);

      const states = pipeline.fired.flatMap(({ text }) => {
        const { event_type: type, data } = firedSchema.parse(JSON.parse(text));
        const state = data.new_state?.state ?? "";
        return type === "state_changed" && /^\d+$/.test(state)
          ? [{ entityId: data.entity_id, state, time: data.new_state?.last_updated ?? "" }]
          : [];
      });
      assert.ok(states.length > 200, `only ${states.length} states`);
      await until(
        async () => {
          const samples = await server.samplesOnceFlushed('{__name__=~".*_value"}');
          const kept = new Set(
            samples.map(({ labels, timeMs, value }) =>
              `${labels.entity_id?.replace(/^sensor\./, "")} ${timeMs} ${value}`
            ),
          );
          return states.every(({ entityId = "", state, time }) =>
            kept.has(`${entityId.replace(/^sensor\./, "")} ${Date.parse(time)} ${state}`)
          );
        },
        "every number is there",
        { limitMs: 60_000 },
      );

      const samples = await server.samples();
      const texts = samples.filter(({ labels: { __name__: name = "" } }) =>
        /_state$|_old_state$|_str$/.test(name)
      );
      assert.deepEqual(texts, []);
      const times = new Set(
        pipeline.fired.map(({ timeFiredUs }) => Math.floor(timeFiredUs / 1_000)),
      );
      const untold = samples.filter(({ timeMs }) => !times.has(timeMs));
      assert.deepEqual(
        untold.slice(0, 5),
        [],
        `${untold.length} samples of times that were not sent`,
      );
      assert.deepEqual(await server.ignored(), {});
      measured(`${schema}: ${received} events, ${samples.length} samples, five kills: ${text}`);
    },
  );
}
