import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { STATISTICS_VALUES } from "../../lib/contract.ts";
import { LocalStore } from "../../lib/enrich/local/local_store.ts";
import { TemporaryFolder } from "../temporary.ts";
import { codeSpans, page, tablesUnder } from "./markdown.ts";
import { change, FIRED, stateOf, tidy } from "../enrich/tidy/tidied.ts";

const { text } = page("docs/schema.md");

/** Every platform of Home Assistant that has entities, and the helpers beside them. */
const DOMAINS =
  `ai_task air_quality alarm_control_panel automation binary_sensor button calendar camera climate
  conversation counter cover date datetime device_tracker event fan geo_location group humidifier
  image infrared input_boolean input_button input_datetime input_number input_select input_text lawn_mower
  light lock media_player notify number person plant radio_frequency remote scene schedule script select sensor
  siren stt sun switch text time timer todo tts update vacuum valve wake_word water_heater weather
  zone`.split(/\s+/);

const ELSE = ["on", "off", "home", "locked", "closed", "something"];

interface Point {
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, number | string>>;
}

const ENVELOPE = {
  registry: { name: "Name", area: "Area", floor: "Floor", device: "Device" },
  source: "home",
};

/** Points that have, all together, everything that a section of the page can name. */
const POINTS: Readonly<Record<string, readonly Point[]>> = {
  States: [
    tidy({
      event_type: "state_changed",
      data: {
        entity_id: "sensor.x",
        old_state: stateOf("sensor.x", "unavailable"),
        new_state: stateOf("sensor.x", "007", {
          device_class: "energy",
          unit_of_measurement: "kWh",
        }),
      },
    }, ENVELOPE),
  ],
  Events: [["light.a"], ["light.a", "light.b"]].map((entity_id) =>
    tidy({
      event_type: "call_service",
      data: { domain: "light", service: "turn_on", service_data: { entity_id } },
      context: { id: "c", parent_id: "p", user_id: "u" },
    }, ENVELOPE)
  ),
  Entities: [
    tidy(
      { event_type: "entity_info", data: { entity_id: "sensor.x", old_entity_id: "sensor.y" } },
      {
        source: "home",
      },
    ),
  ],
  Statistics: [
    tidy({
      event_type: "statistics",
      data: {
        statistic_id: "sensor.x",
        entity_id: "sensor.x",
        start: FIRED,
        unit: "kWh",
        device_class: "energy",
        ...Object.fromEntries(STATISTICS_VALUES.map((name) => [name, 1])),
      },
    }, ENVELOPE),
  ],
};

function typeOf(value: number | string): string {
  return typeof value === "number" ? "number" : "text";
}

/** What the rows of a table name in their first column, with their type where there is one. */
function named(rows: readonly string[][]): string[] {
  const [head, ...rest] = rows;
  return rest.map(([name = "", type = ""]) =>
    `${codeSpans(name)[0]}${head?.[1] === "type" ? ` ${type}` : ""}`
  );
}

for (const [section, points] of Object.entries(POINTS)) {
  Deno.test(`docs/schema.md names the tags and fields that are written under ${section}, and no others`, () => {
    const tables = tablesUnder(text, section);
    const table = (kind: string) => named(tables.find(([head]) => head?.[0] === kind) ?? []);
    const tags = points.flatMap((point) => Object.keys(point.tags));
    const fields = points.flatMap((point) =>
      Object.entries(point.fields).map(([name, value]) => `${name} ${typeOf(value)}`)
    );
    assert.deepEqual(table("tag").sort(), [...new Set(tags)].sort());
    assert.deepEqual(table("field").sort(), [...new Set(fields)].sort());
  });
}

Deno.test("docs/schema.md says of each domain which states are 1 and which 0", () => {
  const [rows = []] = tablesUnder(text, "value");
  const told = new Map(
    rows.slice(1).flatMap(([domains = "", one = "", zero = ""]) =>
      codeSpans(domains).map((domain) => [domain, [one, zero]] as const)
    ),
  );
  assert.deepEqual([...told.keys()].filter((domain) => !DOMAINS.includes(domain)), []);
  for (const domain of DOMAINS) {
    const cells = told.get(domain) ?? ["", ""];
    const words = cells.flatMap(codeSpans);
    const isElse = (cell: string) => cell === "all others";
    for (const state of [...words, ...ELSE]) {
      const at = cells.findIndex((cell) => codeSpans(cell).includes(state));
      const column = at !== -1 || words.includes(state) ? at : cells.findIndex(isElse);
      const wanted = column === -1 ? undefined : 1 - column;
      assert.equal(change(`${domain}.x`, null, state).fields.value, wanted, `${domain} ${state}`);
    }
  }
});

Deno.test("docs/schema.md names the domains and the device classes whose states are times", () => {
  const [, classes = "", domains = ""] =
    /A time, where `device_class` is ([^,]*), and in ([^:]*): Unix seconds/.exec(text) ?? [];
  const named = codeSpans(domains);
  assert.deepEqual(named.filter((domain) => !DOMAINS.includes(domain)), []);
  for (const domain of DOMAINS) {
    const { value } = change(`${domain}.x`, null, FIRED).fields;
    assert.equal(typeof value === "number" && value > 1, named.includes(domain), domain);
  }
  assert.deepEqual(codeSpans(classes), ["timestamp", "uptime"]);
  for (const device_class of codeSpans(classes)) {
    const { value } = change("sensor.x", null, FIRED, { device_class }).fields;
    assert.equal(typeof value, "number", device_class);
  }
});

Deno.test("docs/schema.md says which field an attribute becomes, and of which type", () => {
  const [rows = []] = tablesUnder(text, "Attributes");
  const without = Object.keys(change("sensor.x", null, "text").fields);
  for (const [attribute = "", field = "", type = ""] of rows.slice(1)) {
    const [, name, value] = /^`(\w+)`: (.*)$/.exec(attribute) ?? [];
    assert.ok(name && value, attribute);
    const state = stateOf("sensor.x", "text", { [name]: JSON.parse(value) });
    const event = {
      event_type: "state_snapshot",
      data: { entity_id: "sensor.x", new_state: state },
    };
    const written = Object.entries(tidy(event, {}, "all").fields)
      .filter(([written]) => !without.includes(written))
      .map(([name, value]) => [name, typeOf(value)]);
    assert.deepEqual(written, field === "none" ? [] : [[codeSpans(field)[0], type]], attribute);
  }
  assert.ok(rows.length > 8);
});

Deno.test("What docs/schema.md calls constant is left out, and what it calls secret is never stored", () => {
  const constants = codeSpans(/^- `standard`:[^]*?^- `all`/m.exec(text)?.[0] ?? "")
    .filter((name) => !["standard", "all"].includes(name))
    .map((name) => name.startsWith("_") ? `x${name}` : name);
  for (const name of constants) {
    const { leftOut } = change("sensor.x", null, "1", { [name]: "x" });
    assert.deepEqual(leftOut, { constant: 1 }, name);
  }
  assert.ok(constants.length > 6, `${constants}`);
  const [, hidden = "", kept = ""] =
    /the values of keys that are\s([^]*?)\. ([^]*?) are stored/.exec(text) ?? [];
  const hides = (key: string) => {
    const { fields } = tidy({ event_type: "my_event", data: { [key]: "hunter2" } });
    return !JSON.stringify(fields).includes("hunter2");
  };
  const keys = codeSpans(hidden).map((key) => key.endsWith("_") ? `${key}code` : key);
  assert.deepEqual(keys.filter((key) => !hides(key)), []);
  assert.equal(keys.length, 13);
  assert.deepEqual(codeSpans(kept).filter(hides), []);
  assert.equal(codeSpans(kept).length, 2);
  assert.ok(hides("alarm_code") && !hides("color"), "the question itself tells them apart");
});

Deno.test("The queries of docs/schema.md find in the local store what it holds, while it is written to", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("store.sqlite");
  const store = new LocalStore(path, { days: 30, maxBytes: 100_000_000 });
  const nowMs = Date.now();
  const point = (
    measurement: string,
    tags: Record<string, string>,
    fields: Record<string, number | string>,
    secondsAgo: number,
  ) => ({
    measurement,
    tags: new Map(Object.entries(tags)),
    fields: new Map(Object.entries(fields)),
    timeNs: BigInt(nowMs - secondsAgo * 1_000) * 1_000_000n,
  });
  const kitchen = { entity_id: "sensor.kitchen_temperature", unit: "°C" };
  await store.write([
    point("sensor", kitchen, { available: 1, value: 10 }, 90_000),
    point("sensor", { ...kitchen, area: "Old" }, { available: 1, value: 20 }, 2),
    point("sensor", kitchen, { available: 1, value: 21.5 }, 1),
    point("light", { entity_id: "light.a" }, { available: 1, value: 1, state: "on" }, 5),
    point("events", { event_type: "my_event" }, { data_json: '{"a":1}' }, 3),
    point("statistics", { statistic_id: "x:y" }, { mean: 1 }, 3),
  ]);
  using reader = new DatabaseSync(path, { readOnly: true });
  const queries = [...text.matchAll(/```sql\n([^]*?)```/g)].map(([, query = ""]) => query);
  const rows = queries.map((query) =>
    reader.prepare(query).all().map((row) =>
      Object.entries(row).filter(([name]) => !["time", "hour"].includes(name))
        .map(([, value]) => value)
    )
  );
  assert.deepEqual(rows, [
    [["light.a", "on", null], ["sensor.kitchen_temperature", 21.5, "°C"]],
    [[20.75]],
    [["my_event", '{"a":1}']],
  ]);
  const columns = (table: string) =>
    reader.prepare("SELECT name, lower(type) AS type FROM pragma_table_info(?)").all(table)
      .map(({ name, type }) => [name, type]);
  const tables = tablesUnder(text, "In the local store");
  for (const [[head = "", ...more] = [], ...named] of tables) {
    assert.deepEqual(more, ["type", "is"]);
    assert.deepEqual(
      named.map(([name = "", type]) => [codeSpans(name)[0], type]),
      columns(codeSpans(head)[0] ?? ""),
    );
  }
  assert.equal(tables.length, 2);
  store.close();
});
