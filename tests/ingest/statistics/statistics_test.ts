import assert from "node:assert/strict";
import * as z from "zod";
import type { Connection } from "../../../lib/ingest/hass/connection.ts";
import type { HassCommands } from "../../../lib/ingest/statistics/statistics_import.ts";
import { allStored } from "../../stand_ins/fake_enrich.ts";
import {
  connect,
  type Data,
  FIRST_MS,
  HOUR_MS,
  hours,
  HOUSE,
  importing,
  SOLAR,
} from "./importing.ts";
import { entity } from "../../simulator/house.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { readRecording, RECORDED } from "../../simulator/recording.ts";
import { STATISTICS_TYPES } from "../../simulator/statistics.ts";
import { until } from "../../until.ts";
import { rowsOf } from "../outbox/rows.ts";

/** Before it the recording's entity was given another unit. */
const LAST_LIST_ID = 24;

const importSchema = z.object({
  type: z.literal("recorder/import_statistics"),
  metadata: z.object({
    statistic_id: z.string(),
    source: z.string(),
    name: z.string().nullable(),
    unit_of_measurement: z.string().nullable(),
    has_mean: z.boolean(),
    has_sum: z.boolean(),
  }),
  stats: z.array(
    z.looseObject({ start: z.string() })
      .and(z.partialRecord(z.enum(STATISTICS_TYPES), z.number())),
  ),
});

/** What was asked in the recording, the answers, and what the simulation must have for them. */
for (const [version, folder] of RECORDED) {
  Deno.test(`The simulation tells statistics as the recorded ${version} does`, async () => {
    await using hass = new SimulatedHomeAssistant({ version }).start();
    const connection = await connect(hass);
    const frames = readRecording(folder, "statistics").map(({ text = "" }) => JSON.parse(text));
    const answers = new Map(frames.filter(({ type }) => type === "result").map((a) => [a.id, a]));
    const show = (unit: string) =>
      hass.setState("sensor.house_temperature", "70", {
        unit_of_measurement: unit,
        state_class: "measurement",
      });
    show("°C");
    let compared = 0;
    for (const { id, type, ...parameters } of frames) {
      const imported = importSchema.safeParse({ type, ...parameters });
      if (imported.success) {
        const { metadata, stats } = imported.data;
        hass.statistics.import(
          metadata,
          stats.map(({ start, ...values }) => [Date.parse(start), values]),
        );
      }
      const { types, statistic_type } = parameters;
      const isList = type === "recorder/list_statistic_ids" && statistic_type === undefined;
      const isRows = type === "recorder/statistics_during_period" &&
        types?.every((name: string) => STATISTICS_TYPES.some((known) => known === name));
      if (!isList && !isRows) continue;
      if (id === LAST_LIST_ID) show("°F");
      const recorded = answers.get(id);
      if (recorded.success) {
        assert.deepEqual(await connection.command(type, parameters), recorded.result, `id ${id}`);
      } else {
        const { code, message } = recorded.error;
        await assert.rejects(connection.command(type, parameters), {
          message: `Home Assistant answered ${code}: ${message}`,
        });
      }
      compared++;
    }
    assert.equal(compared, 16);
    connection.close("done with");
  });
}

Deno.test("Statistics come hour by hour, in the unit and under the names that states have now", async () => {
  const registry = { name: "Hall temperature", area: "Hall" };
  await importing(async ({ hass, enrich, imported, statistics }) => {
    hass.setState("sensor.house", "70", {
      unit_of_measurement: "°F",
      device_class: "temperature",
      friendly_name: "Hall",
    });
    const data = await imported();
    const house = data.filter(({ statistic_id }) => statistic_id === "sensor.house");
    assert.deepEqual(
      house,
      hours(100, (i) => ({ mean: (20 + i / 8) * 1.8 + 32, min: 66.2, max: 104 }))
        .map(([ms, values]) => ({
          statistic_id: "sensor.house",
          entity_id: "sensor.house",
          start: new Date(ms).toISOString().replace("Z", "000+00:00"),
          name: "Hall",
          unit: "°F",
          device_class: "temperature",
          ...values,
        })),
    );
    const solar = data.filter(({ statistic_id }) => statistic_id === "energy:solar");
    assert.equal(solar.length, 100);
    assert.deepEqual(solar[3], {
      statistic_id: "energy:solar",
      start: "2024-01-30T03:00:00.000000+00:00",
      name: "Solar",
      unit: "kWh",
      state: 3,
      sum: 103,
    });
    const envelopes = enrich.stored.map((line) => JSON.parse(line));
    assert.ok(envelopes.every(({ event }) => event.time_fired === event.data.start));
    for (const { event, registry: names, via, source } of envelopes) {
      assert.deepEqual(names, event.data.entity_id ? registry : undefined);
      assert.deepEqual([via, source, event.origin], ["statistics", "home", "LOCAL"]);
    }
    const { state, rows, statistics: { done, to_do } } = statistics.progress;
    assert.deepEqual([state, rows, done, to_do], ["done", 200, 2, 0]);
  }, { names: () => registry, source: "home" });
});

Deno.test("Statistics are read and spooled a month of one statistic at a time", async () => {
  await importing(async ({ hass, imported, outbox }) => {
    await imported();
    const asked = hass.received.filter(({ period }) => period === "hour");
    const day = (time: unknown) => String(time).slice(0, 10);
    assert.deepEqual(
      asked.map(({ statistic_ids, start_time, end_time }) => [
        String(statistic_ids),
        day(start_time),
        day(end_time),
      ]),
      [
        ["sensor.house", "2024-01-01", "2024-02-01"],
        ["sensor.house", "2024-02-01", "2024-03-01"],
        ["energy:solar", "2024-01-01", "2024-02-01"],
        ["energy:solar", "2024-02-01", "2024-03-01"],
      ],
    );
    assert.deepEqual(outbox.appends, [48, 52, 48, 52]);
    // a unit that is changed meanwhile does not change the values under its old name
    assert.deepEqual(asked[0]?.units, { temperature: "°C" });
  });
});

Deno.test("Statistics imported again are those that have come since, even after a restart", async () => {
  await importing(async ({ hass, imported, outbox, restart }) => {
    assert.equal((await imported()).length, 200);
    assert.deepEqual(await imported(), []);
    assert.equal(outbox.appends.length, 4, "nothing new asks for no room");
    // as release 0.1.0 keeps it
    assert.equal(outbox.meta("statistics energy:solar"), String(FIRST_MS + 100 * HOUR_MS));
    hass.statistics.import(SOLAR, hours(2, () => ({ sum: 1 }), FIRST_MS + 100 * HOUR_MS));
    await restart();
    const starts = (await imported()).map(({ statistic_id, start }) => [statistic_id, start]);
    assert.deepEqual(starts, [
      ["energy:solar", "2024-02-03T04:00:00.000000+00:00"],
      ["energy:solar", "2024-02-03T05:00:00.000000+00:00"],
    ]);
  });
});

/** The entity registry's entry of HOUSE. */
function register(hass: SimulatedHomeAssistant): void {
  hass.registry.addEntity(entity(HOUSE.statistic_id, null, "House", "20", {}));
}

Deno.test("A renamed statistic goes on as one: under its first id, each hour once", async () => {
  await importing(async ({ hass, imported, restart }) => {
    register(hass);
    const first = await imported();
    hass.registry.updateEntity(HOUSE.statistic_id, { entity_id: "sensor.renamed" });
    assert.deepEqual(await imported(), [], "nothing is imported again");
    await restart();
    const more = { ...HOUSE, statistic_id: "sensor.renamed" };
    hass.statistics.import(more, hours(2, () => ({ mean: 1 }), FIRST_MS + 100 * HOUR_MS));
    const second = await imported();
    assert.deepEqual(
      second.map(({ statistic_id, entity_id, start }) => [statistic_id, entity_id, start]),
      [
        ["sensor.house", "sensor.renamed", "2024-02-03T04:00:00.000000+00:00"],
        ["sensor.house", "sensor.renamed", "2024-02-03T05:00:00.000000+00:00"],
      ],
    );
    const starts = [...first, ...second].filter(({ statistic_id }) =>
      statistic_id === "sensor.house"
    )
      .map(({ start }) => start);
    assert.equal(new Set(starts).size, 102);
    assert.equal(starts.length, 102);
    // a choice is made by the id that Home Assistant has now
    const chosen = await imported({ entities: "sensor.ren*", since: "2024-02-01" });
    assert.deepEqual([...new Set(chosen.map(({ statistic_id }) => statistic_id))], [
      "sensor.house",
    ]);
  });
});

Deno.test("A new device that has the old one's id is imported from its beginning, beside it", async () => {
  await importing(async ({ hass, imported }) => {
    register(hass);
    await imported();
    hass.registry.updateEntity(HOUSE.statistic_id, { entity_id: "sensor.house_old" });
    register(hass);
    hass.statistics.import(HOUSE, hours(3, () => ({ mean: 7 })));
    const data = await imported();
    assert.deepEqual(
      data.map(({ statistic_id, entity_id, mean }) => [statistic_id, entity_id, mean]),
      Array(3).fill(["sensor.house_2", "sensor.house", 7]),
    );
  });
});

Deno.test("A statistic that 0.1.0 has imported goes on as one after a rename, once an import has seen it", async () => {
  await importing(async ({ hass, imported, outbox }) => {
    // no entry of the registry, no note: as 0.1.0 leaves it
    await imported();
    register(hass);
    assert.deepEqual(await imported(), []);
    assert.equal(outbox.appends.at(-1), 0, "it is noted");
    const { length } = outbox.appends;
    assert.deepEqual(await imported(), []);
    assert.equal(outbox.appends.length, length, "once");
    hass.registry.updateEntity(HOUSE.statistic_id, { entity_id: "sensor.renamed" });
    assert.deepEqual(await imported(), []);
  });
});

/** Everything that waits. */
const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };
const away = () => Response.json({ detail: "Event processing failed" }, { status: 500 });
/** Months of 48, 696, 744, 720 and 292 hours. */
const LONG = hours(2_500, (i) => ({ mean: i, min: 0, max: 9_999 }));

Deno.test("An import that is killed at any moment goes on where it was: it loses and repeats nothing", async () => {
  await importing(async (setup) => {
    // all stays in the file
    setup.enrich.answering = away;
    const spoolAll = async () => {
      assert.ok(setup.statistics.start({}));
      await until(() => setup.statistics.progress.state === "done", "it is imported");
      return rowsOf(setup.outbox.waiting.next.peek(ALL)).map(({ line }) => {
        const { statistic_id, start } = JSON.parse(line).event.data;
        return `${statistic_id} ${start}`;
      });
    };
    const copies: string[] = [];
    setup.outbox.onWrite = () => {
      const copy = setup.folder.file(`killed-${copies.length}.sqlite`);
      for (const part of ["", "-wal"]) {
        Deno.copyFileSync(setup.folder.file("outbox.sqlite") + part, copy + part);
      }
      copies.push(copy);
    };
    const whole = await spoolAll();
    assert.equal(new Set(whole).size, 200);
    const held = new Set<number>();
    for (const copy of copies) {
      await setup.restart(copy);
      held.add(setup.outbox.counters().received);
      assert.deepEqual(await spoolAll(), whole, copy);
    }
    assert.deepEqual([...held], [0, 48, 100, 148, 200], "it was killed at every page");
  });
});

Deno.test("While enrich is away an import waits, says why, and goes on after ingest's end", async () => {
  await importing(async (setup) => {
    const { enrich, hass, statistics, imported } = setup;
    hass.statistics.import(HOUSE, LONG);
    enrich.answering = away;
    assert.ok(statistics.start({}));
    await until(
      () =>
        statistics.progress.reason?.startsWith("events wait in the outbox: enrich answered 500"),
      "it says so",
    );
    assert.equal(statistics.progress.state, "running");
    assert.equal(statistics.progress.rows, 48 + 696 + 744 + 720);
    // an event that is live does not wait for it
    setup.outbox.add({ line: "{}" });
    setup.outbox.flush();
    assert.equal(setup.outbox.counters().waiting, 48 + 696 + 744 + 720 + 1);
    await setup.restart();
    assert.equal(statistics.progress.state, "failed");
    assert.equal(statistics.progress.reason, "ingest was stopped");
    assert.equal(setup.outbox.counters().waiting, 48 + 696 + 744 + 720 + 1);
    enrich.answering = (lines) => allStored(lines);
    assert.ok(setup.statistics.start({}));
    await until(() => setup.statistics.progress.state === "done", "it is imported");
    await setup.allDelivered();
    assert.equal(setup.statistics.progress.reason, undefined);
    assert.equal(setup.outbox.counters().received, 2_601);
    assert.equal(new Set(enrich.stored).size, 2_601);
    assert.deepEqual(await imported(), []);
  });
});

Deno.test("While the outbox's file is full an import waits, says why, and loses nothing", async () => {
  await importing(async ({ enrich, hass, outbox, statistics, allDelivered }) => {
    hass.statistics.import(HOUSE, LONG);
    enrich.answering = away;
    const large = `{"text":"${"x".repeat(20_000)}"}`;
    let n = 0;
    // room for the first page, but not for the second
    while (outbox.size.fullness < 0.96) assert.ok(outbox.append([large])), n++;
    assert.ok(statistics.start({}));
    await until(
      () => statistics.progress.reason?.startsWith("the outbox is full: enrich answered 500"),
      "it says so",
    );
    assert.equal(statistics.progress.rows, 48);
    assert.equal(outbox.counters().received, n + 48);
    enrich.answering = (lines) => allStored(lines);
    await until(() => statistics.progress.state === "done", "it is imported");
    await allDelivered();
    assert.equal(outbox.counters().delivered, n + 2_600);
    assert.equal(new Set(enrich.stored).size, 1 + 2_600);
    assert.deepEqual([...outbox.counters().dropped], [["outbox_full", 0]]);
  }, { maxBytes: 8_000_000 });
});

Deno.test("An hour that the store refuses becomes a dead letter, and keeps no other", async () => {
  await importing(async ({ enrich, imported, outbox, statistics }) => {
    const odd = '"mean":20.5,';
    enrich.answering = (lines) => {
      const problems = lines.flatMap((line, index) =>
        line.includes(odd) ? [{ index, event_id: "x", reason: "field type conflict" }] : []
      );
      return allStored(lines, { stored: lines.length - problems.length, problems });
    };
    await imported();
    assert.equal(statistics.progress.state, "done");
    assert.equal(outbox.counters().delivered, 199);
    const page = await outbox.deadLetters.list({ limit: 10 }, new AbortController().signal);
    const [letter] = page?.letters ?? [];
    assert.deepEqual(page?.by_reason, [{ reason: "field type conflict", count: 1 }]);
    assert.equal(letter?.entity_id, "sensor.house");
    assert.match(outbox.deadLetters.get(letter?.seq ?? 0)?.line ?? "", new RegExp(odd));
    assert.deepEqual(await imported(), [], "it is not asked for again");
  });
});

Deno.test("Statistics wait for Home Assistant, whose connection may end at any time", async () => {
  let times = 0;
  let connection: HassCommands | undefined;
  const broken: HassCommands = { command: () => Promise.reject(new Error("the socket ended")) };
  await importing(async ({ hass, imported, statistics }) => {
    const ended = imported();
    await until(
      () => statistics.progress.reason === "Home Assistant is not connected",
      "it says so",
    );
    connection = broken;
    await until(() => statistics.progress.reason === "the socket ended", "it says so");
    const real = await connect(hass);
    // every other command is lost
    connection = {
      command: (...args) => ++times % 2 === 0 ? real.command(...args) : broken.command(""),
    };
    assert.equal((await ended).length, 200);
    real.close("done with");
  }, { commands: () => connection });
});

Deno.test("A statistic that Home Assistant cannot tell is reported, and the others are imported", async () => {
  let real: Connection | undefined;
  const commands = () => ({
    command: (type: string, parameters: Data = {}) => {
      assert.ok(real);
      const spoilt = String(parameters.statistic_ids) === "sensor.house";
      return real.command(type, spoilt ? { ...parameters, start_time: "x" } : parameters);
    },
  });
  await importing(async ({ hass, imported, statistics }) => {
    real = await connect(hass);
    const data = await imported();
    assert.equal(data.length, 100);
    const { state, reason, statistics: { done } } = statistics.progress;
    assert.deepEqual([state, done], ["failed", 2]);
    assert.match(reason ?? "", /^sensor\.house cannot be read: .*Invalid start_time/);
    real.close("done with");
  }, { commands });
});

Deno.test("Statistics are chosen by a glob and, imported again, by a date", async () => {
  await importing(async ({ imported, statistics }) => {
    const ids = (data: readonly Data[]) => [...new Set(data.map((one) => one.statistic_id))];
    assert.deepEqual(ids(await imported({ entities: "sensor.h?us*" })), ["sensor.house"]);
    assert.deepEqual(await imported({ entities: "sensor" }), []);
    assert.deepEqual(await imported({ entities: "solar" }), []);
    assert.equal(statistics.progress.state, "done");
    assert.deepEqual(ids(await imported()), ["energy:solar"], "the other one was imported before");
    const again = await imported({ since: "2024-02-01", entities: "energy:*" });
    assert.equal(again.length, 52);
    assert.equal(again[0]?.start, "2024-02-01T00:00:00.000000+00:00");
    assert.equal((await imported({ since: "2024-02-01T02:00:00+02:00" })).length, 104);
  });
});

Deno.test("A glob with many * takes no time over a long id", async () => {
  await importing(async ({ hass, imported }) => {
    hass.statistics.import(
      { ...SOLAR, statistic_id: `energy:${"a".repeat(255)}` },
      hours(1, () => ({ sum: 1 })),
    );
    const begunMs = performance.now();
    assert.deepEqual(await imported({ entities: `${"*a".repeat(9)}*b` }), []);
    assert.ok(performance.now() - begunMs < 10_000);
  });
});

Deno.test("An import that begins at a date does not keep a later one from what was before it", async () => {
  await importing(async ({ hass, imported }) => {
    assert.equal((await imported({ since: "2024-02-01" })).length, 104);
    assert.equal((await imported()).length, 200);
    hass.statistics.import(SOLAR, hours(2, () => ({ sum: 1 }), FIRST_MS + 100 * HOUR_MS));
    assert.equal((await imported({ since: "2024-02-01", entities: "*solar" })).length, 54);
    assert.deepEqual(await imported(), [], "that one joined on to what there was");
  });
});

Deno.test("An hour that says nothing is not spooled", async () => {
  await importing(async ({ hass, imported }) => {
    hass.statistics.import(SOLAR, hours(3, () => ({})));
    assert.equal((await imported()).length, 197);
  });
});

Deno.test("An hour that has not ended is read again the next time", async () => {
  let nowMs = FIRST_MS + 99.5 * HOUR_MS;
  await importing(async ({ holdPage, imported, statistics }) => {
    const release = holdPage(4);
    const ended = imported();
    await until(() => statistics.progress.rows === 148, "the last page is asked for");
    // what ends now was not whole when Home Assistant was asked
    nowMs += HOUR_MS;
    release();
    assert.equal((await ended).length, 200);
    const starts = (await imported()).map(({ start }) => start);
    assert.deepEqual(starts, Array(2).fill("2024-02-03T03:00:00.000000+00:00"));
    assert.deepEqual(await imported(), []);
  }, { nowMs: () => nowMs });
});
