/** CHANGELOG.md, "Changes in stored data": its queries, asked of what v0.1.0 and this one have stored. */
import assert from "node:assert/strict";
import { postEventsTo } from "../../lib/ingest/delivery/post_events.ts";
import { Checkout, OLD_RELEASE } from "./parts/checkout.ts";
import { REAL_INFLUXDBS, type RealInfluxDb } from "./parts/influxdbs.ts";
import type { Series } from "./parts/influxql.ts";
import { Process } from "./parts/process.ts";
import { type ProgramOptions, startEnrich } from "./parts/programs.ts";
import { realTest } from "./parts/real_test_case.ts";
import { batchOf } from "../ingest/outbox/rows.ts";

const SECRET = "hunter2";

function state(
  entityId: string,
  text: string,
  at: string,
  attributes: object = {},
  before?: readonly [text: string, at: string],
): string {
  const told = (state: string, time: string) => ({
    entity_id: entityId,
    state,
    attributes,
    last_changed: time,
    last_updated: time,
  });
  return event("state_changed", at, {
    entity_id: entityId,
    old_state: before ? told(...before) : null,
    new_state: told(text, at),
  });
}

function event(event_type: string, at: string, data: object): string {
  return JSON.stringify({ event: { event_type, data, origin: "LOCAL", time_fired: at } });
}

/** What happens on a day: Anna is in the garden for one hour, and at home for one before. */
function dayOf(
  day: string,
  unit: string,
  dust: number,
  mean: readonly [string, string],
  name: string,
) {
  const at = (time: string) => `${day}T${time}:00+00:00`;
  const garden = { in_zones: ["zone.garden", "zone.home"] };
  const means = { unit_of_measurement: "°C" };
  return [
    state("sensor.kitchen", String(dust), at("08:00")).replace(
      /}$/,
      `,"registry":${JSON.stringify({ name })}}`,
    ),
    state("sensor.fine_dust", String(dust), at("08:00"), { unit_of_measurement: unit }),
    state("person.anna", "Garden", at("10:00"), garden, ["home", at("09:00")]),
    state("person.anna", "Work", at("11:00"), { in_zones: ["zone.work"] }, ["Garden", at("10:00")]),
    state("sensor.uptime", at("07:00"), at("12:00"), { device_class: "uptime" }),
    state("sensor.mean_temperature", mean[1], at("13:00"), means, [mean[0], at("12:00")]),
    event("my_event", at("14:00"), { error_code: 12 }),
    ...["text", "input_text"].map((domain) =>
      event("call_service", at("15:00"), {
        domain,
        service: "set_value",
        service_data: { entity_id: `${domain}.wifi`, value: SECRET },
      })
    ),
  ];
}

async function store(influxDb: RealInfluxDb, lines: readonly string[], options: ProgramOptions) {
  await using enrich = await startEnrich(influxDb.env(), options);
  const post = postEventsTo(enrich.url, undefined);
  const outcome = await post(batchOf(lines), 30_000, AbortSignal.timeout(60_000));
  assert.ok(outcome.kind === "answered", JSON.stringify(outcome));
  assert.equal(outcome.answer.stored, lines.length, JSON.stringify(outcome));
}

/** What the section shows in a language, in its order. */
function shownInChangelog(language: "influxql" | "sh"): readonly string[] {
  const changelog = Deno.readTextFileSync(new URL("../../CHANGELOG.md", import.meta.url));
  const [, section = ""] = /### Changes in stored data\n([^]*?)\n### /.exec(changelog) ?? [];
  const blocks = section.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "g"));
  return [...blocks].map(([, block = ""]) => block);
}

/** Deletes what the page says, by the way that the server has for it. */
async function deleteTexts(influxDb: RealInfluxDb, statements: readonly string[]): Promise<void> {
  if (influxDb.flux === undefined) {
    for (const statement of statements) await influxDb.query(statement);
    return;
  }
  const [command = "", ...others] = shownInChangelog("sh");
  assert.deepEqual(others, []);
  for (const domain of ["text", "input_text"]) {
    const words = ["bash", "-c", command.replace("text", domain)];
    await using process = new Process("the command that deletes", words, { env: influxDb.env() });
    assert.equal((await process.ended()).code, 0, process.output);
  }
}

/** The cells of each row, without its time. */
function cells(series: readonly Series[]): unknown[][] {
  return series.flatMap(({ values }) => values.map(([, ...cells]) => cells));
}

async function spanTheUpgrade(open: () => Promise<RealInfluxDb>): Promise<void> {
  await using old = await Checkout.of(OLD_RELEASE);
  await using influxDb = await open();
  const ask = async (query: string) => cells(await influxDb.query(query));
  const before = ["21.416666666666668", "21.466666666666665"] as const;
  const after = ["21.516666666666666", "21.566666666666666"] as const;
  await store(influxDb, dayOf("2026-03-28", "\u00b5g/m³", 10, before, "Temperature"), {
    checkout: old.path,
  });
  await store(influxDb, dayOf("2026-03-29", "\u03bcg/m³", 20, after, "Kitchen Temperature"), {});

  const [named, dust, hours, uptime, mean, errors, ...deletions] = shownInChangelog("influxql");
  assert.ok(named && dust && hours && uptime && mean && errors && deletions.length === 2);
  assert.deepEqual(await ask(named), [[15]]);
  assert.deepEqual(await ask(dust), [[15]]);
  assert.deepEqual(await ask(hours), [[4]]);
  assert.deepEqual(await ask(uptime), [["2026-03-29T07:00:00+00:00"]]);
  assert.deepEqual(await ask(mean), [[21.566666666666666]]);
  assert.deepEqual(await ask(errors), [[12]]);

  // what the page warns of
  assert.deepEqual(await ask(named.replace('entity_id"\n', 'entity_id", "name"\n')), [[20], [
    10,
  ]]);
  assert.deepEqual(await ask(dust.replace('entity_id"\n', 'entity_id", "unit"\n')), [[10], [20]]);
  assert.deepEqual(await ask('SELECT "value" FROM "person"'), [[0], [0], [1], [0]]);
  assert.deepEqual(await ask(mean.replace('last("value")', 'last("state")')), [[before[1]]]);
  assert.deepEqual(await ask('SELECT "error_code_str" FROM "events"'), [["***"]]);
  assert.deepEqual(
    await ask(`SELECT count("value") FROM "sensor" WHERE "device_class" = 'uptime'`),
    [[1]],
  );
  const texts = `SELECT "data_json" FROM "events" WHERE "service" = 'set_value'`;
  const told = (await ask(texts)).map((row) => JSON.stringify(row).includes(SECRET));
  assert.deepEqual(told, [true, true, false, false]);
  await deleteTexts(influxDb, deletions);
  assert.deepEqual(await ask(texts), []);
  assert.deepEqual(await ask(errors), [[12]], "the other events are there");
}

for (const [name, open] of Object.entries(REAL_INFLUXDBS)) {
  realTest(
    `The queries of CHANGELOG.md find what was stored before and after the upgrade: ${name}`,
    () => spanTheUpgrade(open),
  );
}
