import fc from "fast-check";
import assert from "node:assert/strict";
import { type BatchAnswer, batchAnswerSchema } from "../../lib/contract.ts";
import { formatTimeUs } from "../../lib/time.ts";
import { differences, expectedPoint } from "./parts/expected_point.ts";
import { HOSTILE_MEMBERS, HOSTILE_STATES } from "./parts/hostile_data.ts";
import { REAL_INFLUXDBS, type RealInfluxDb } from "./parts/influxdbs.ts";
import type { StoredPoint } from "./parts/influxql.ts";
import { type Program, startEnrich } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

/** The property's; another one: SEED=n. */
const SEED = Number(Deno.env.get("SEED") ?? "5");

/** A real InfluxDB, and an enrich that stores all attributes in it. */
class HostileFlow implements AsyncDisposable {
  private constructor(
    readonly influxDb: RealInfluxDb,
    readonly enrich: Program,
    private readonly resources: AsyncDisposableStack,
  ) {}

  static async start(open: () => Promise<RealInfluxDb>): Promise<HostileFlow> {
    await using resources = new AsyncDisposableStack();
    const influxDb = resources.use(await open());
    const enrich = resources.use(await startEnrich({ ...influxDb.env(), ATTRIBUTES: "all" }));
    await enrich.untilReady();
    return new HostileFlow(influxDb, enrich, resources.move());
  }

  async post(lines: readonly string[]): Promise<BatchAnswer> {
    const response = await fetch(`${this.enrich.url}/events`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: lines.join("\n"),
    });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return batchAnswerSchema.parse(JSON.parse(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

const FIRST_US = Date.parse("2026-06-25T21:20:05Z") * 1000;

/** JSON text: numbers as they are written, and names that an object would lose. */
function eventText(eventType: string, data: string, index: number): string {
  return `{"event_type":${JSON.stringify(eventType)},"data":${data},"origin":"LOCAL",` +
    `"time_fired":"${formatTimeUs(FIRST_US + index)}"}`;
}

function stateText(entityId: string, state: string, attributes: string, index: number): string {
  const id = JSON.stringify(entityId);
  const time = formatTimeUs(FIRST_US + index);
  const newState =
    `{"entity_id":${id},"state":${JSON.stringify(state)},"attributes":{${attributes}},` +
    `"last_changed":"${time}","last_updated":"${time}"}`;
  const data = `{"entity_id":${id},"old_state":null,"new_state":${newState}}`;
  return eventText("state_changed", data, index);
}

/** The fields of a state's point that come of its attributes, or an event's of its data. */
function ownFields({ fields }: StoredPoint): Record<string, unknown> {
  const { available: _a, value: _v, state: _s, origin: _o, data_json: _d, ...own } = fields;
  return own;
}

async function storeHostileNames(flow: HostileFlow): Promise<void> {
  const lines = HOSTILE_MEMBERS.flatMap(({ members }, index) => [
    `{"event":${stateText(`sensor.hostile_${index}`, "1", members, index)}}`,
    `{"event":${eventText(`hostile_${index}`, `{${members}}`, index)}}`,
  ]);
  const { stored, problems, pending } = await flow.post(lines);
  const points = await flow.influxDb.allPoints();
  for (const [index, { fields, refused, members }] of HOSTILE_MEMBERS.entries()) {
    const of = members.slice(0, 200);
    const found = points.filter(({ tags }) =>
      tags.entity_id === `sensor.hostile_${index}` || tags.event_type === `hostile_${index}`
    );
    const reasons = problems.filter((problem) => Math.floor(problem.index / 2) === index)
      .map(({ reason }) => reason);
    if (refused) {
      assert.equal(found.length, 0, of);
      assert.equal(reasons.length, 2, of);
      for (const reason of reasons) assert.match(reason, refused, of);
      continue;
    }
    assert.deepEqual(reasons, [], of);
    assert.deepEqual(found.map(({ measurement }) => measurement).sort(), ["events", "sensor"]);
    for (const point of found) assert.deepEqual(ownFields(point), fields, of);
  }
  assert.deepEqual(pending, []);
  assert.equal(stored, points.length);
  measured(
    `${lines.length} events with hostile data: ${stored} stored, ${problems.length} refused`,
  );
}

async function storeHostileStates(flow: HostileFlow): Promise<void> {
  const lines = HOSTILE_STATES.map(({ entityId, state, unit, registry = {} }, index) => {
    const members = unit === undefined ? "" : `"unit_of_measurement":${JSON.stringify(unit)}`;
    return `{"event":${stateText(entityId, state, members, index)},` +
      `"registry":${JSON.stringify(registry)}}`;
  });
  const { problems, pending } = await flow.post(lines);
  const points = await flow.influxDb.allPoints();
  assert.deepEqual(pending, []);
  for (const [index, { entityId, stored, refused, state }] of HOSTILE_STATES.entries()) {
    const found = points.filter(({ timeNs }) => timeNs === BigInt(FIRST_US + index) * 1000n);
    const reasons = problems.filter((problem) => problem.index === index);
    const of = `${entityId}: ${state.slice(0, 200)}`;
    if (refused) {
      assert.equal(found.length, 0, of);
      assert.match(reasons[0]?.reason ?? "", refused, of);
      continue;
    }
    assert.deepEqual(reasons, [], of);
    const [point] = found;
    assert.ok(point && stored && found.length === 1, of);
    const [measurement, tags, fields] = stored;
    const { unit_of_measurement_str: _, ...own } = point.fields;
    assert.deepEqual([point.measurement, own], [measurement, fields], of);
    assert.deepEqual(point.tags, { ...tags, entity_id: entityId }, of);
  }
}

/** Of these, names and texts are put together: what is special to somebody, and endings that tell types. */
const PIECES = [
  ..."ab01 ,=\"'\\#\n\r\t\0.:/éß漢😀",
  "_",
  "_str",
  "_json",
  "time",
  "value",
  "state",
  "area",
  "foo",
  "__proto__",
  "entity_id",
  "origin",
  "domain",
  "context_id",
];

const hostileText = fc.array(fc.constantFrom(...PIECES), { maxLength: 3 })
  .map((pieces) => pieces.join(""));

/** Few enough that each comes with values of all types. */
const hostileName = fc.oneof(
  fc.tuple(
    fc.constantFrom("value", "foo", "time", "__proto__", "area", "a b", "a\\", "#", '"', "😀"),
    fc.array(fc.constantFrom("_", "_str", "_json", "\\", " ", ","), { maxLength: 2 }),
  ).map(([stem, endings]) => stem + endings.join("")),
  // in line protocol two of them are one
  fc.constantFrom("a\nb", "a\\nb", "a\\,b", "a\\_,b", ""),
  hostileText,
);

/** JSON text of a value of any type. */
const hostileValue = fc.oneof(
  fc.constantFrom("null", "true", "false", "1e999", "-0.0", "9007199254740993", "1E5", "0.1e-5"),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  hostileText.map((value) => JSON.stringify(value)),
  fc.string({ unit: "binary" }).map((value) => JSON.stringify(value)),
  fc.json({ maxDepth: 3 }),
);

const hostileEvent = fc.record({
  domain: fc.constantFrom("sensor", "light", "events", "entities", "#x", "a b"),
  kind: fc.constantFrom("state", "event"),
  state: fc.oneof(hostileText, fc.double().map(String)),
  members: fc.array(fc.tuple(hostileName, hostileValue), { maxLength: 10 }),
  area: hostileText,
});

type HostileEvent = typeof hostileEvent extends fc.Arbitrary<infer T> ? T : never;

/** The line of the n-th event of a property's run. */
function lineOf(
  { domain, kind, state, members, area }: HostileEvent,
  source: string,
  n: number,
): string {
  // V8 15 takes a name `\t` for `\\` where an object before had the same names and then that one: a
  // first name of its own, of which nothing is stored, keeps it from knowing such an object
  const json = [[`n${n}`, "null"], ...members]
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",");
  const event = kind === "state"
    ? stateText(`${domain}.hostile`, state, json, n)
    : eventText("hostile", `{${json}}`, n);
  return `{"event":${event},"registry":${JSON.stringify({ area })},"source":"${source}"}`;
}

/** The points that the lines become, and the lines that can be none. */
function expectedOf(lines: readonly string[]): { points: StoredPoint[]; impossible: number[] } {
  const points: StoredPoint[] = [];
  const impossible: number[] = [];
  for (const [index, line] of lines.entries()) {
    try {
      points.push(expectedPoint(line, "all"));
    } catch {
      impossible.push(index);
    }
  }
  return { points, impossible };
}

async function storeRandomAttributes(flow: HostileFlow): Promise<void> {
  let events = 0;
  let batches = 0;
  let refused = 0;
  let fields = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(hostileEvent, { minLength: 1, maxLength: 100, size: "max" }),
      async (batch) => {
        const source = `batch ${batches++}`;
        const lines = batch.map((event) => lineOf(event, source, events++));
        const { stored, problems, pending } = await flow.post(lines);
        const points = await flow.influxDb.allPoints(`WHERE "source" = '${source}'`);
        const expected = expectedOf(lines);
        for (const { index, reason } of problems) {
          assert.match(reason, /^(Field|Tag) ".*" would be written under the name of another$/);
          assert.ok(expected.impossible.includes(index), `${reason}: ${lines[index]}`);
        }
        assert.equal(problems.length, expected.impossible.length);
        assert.deepEqual(differences(expected.points, points), { missing: [], surplus: [] });
        assert.deepEqual([stored, pending], [points.length, []]);
        refused += problems.length;
        for (const point of points) fields += Object.keys(point.fields).length;
      },
    ),
    { seed: SEED, numRuns: 60 },
  );
  const keys = await flow.influxDb.query("SHOW FIELD KEYS");
  const names = keys.reduce((sum, { values }) => sum + values.length, 0);
  measured(
    `${events} events of random attributes (SEED=${SEED}): ${refused} refused because two names ` +
      `become one; ${fields} values of ${names} fields read back as they were`,
  );
}

const TESTS: Readonly<Record<string, (flow: HostileFlow) => Promise<void>>> = {
  "Names and values that hurt are stored as documented, or refused by name and alone":
    storeHostileNames,
  "States, units, areas and entities that hurt are stored as documented, or refused by name":
    storeHostileStates,
  "Whatever attributes come, no field meets another type, and what is stored is what tidy makes of them":
    storeRandomAttributes,
};

for (const [says, test] of Object.entries(TESTS)) {
  for (const [name, open] of Object.entries(REAL_INFLUXDBS)) {
    realTest(`${says}: ${name}`, async () => {
      await using flow = await HostileFlow.start(open);
      await test(flow);
    });
  }
}
