import assert from "node:assert/strict";
import { CommandFailed } from "../../../lib/ingest/hass/outstanding_commands.ts";
import { importStatistics } from "../../../lib/ingest/statistics/import_command.ts";
import type { HassCommands } from "../../../lib/ingest/statistics/statistics_import.ts";
import { IMPORT_PATH } from "../../../lib/ingest/statistics/statistics_request.ts";
import { NO_IMPORT } from "../../../lib/ingest/statistics/statistics_tally.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { hours, HOUSE, importing, SOLAR } from "./importing.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { HOUSE as SAMPLE_HOUSE } from "../../simulator/sample_house.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { startEnrich, startIngest } from "../../whole_programs.ts";

const AUTHORIZATION = { authorization: "Bearer s3cret-token" };

Deno.test("The route starts one import at a time and tells how far it is", async () => {
  await importing(async ({ holdPage, port, statistics }) => {
    const url = `http://127.0.0.1:${port}${IMPORT_PATH}`;
    const ask = async (init: RequestInit) => {
      const response = await fetch(url, { headers: AUTHORIZATION, ...init });
      return { status: response.status, body: await response.json() };
    };
    const headers = { ...AUTHORIZATION, "content-type": "application/json" };
    const post = (body: string) => ask({ method: "POST", headers, body });
    assert.equal((await ask({ headers: {} })).status, 401);
    assert.equal((await ask({})).body.state, "none");
    assert.equal((await post("{")).status, 400);
    assert.match((await post('{"since":"yesterday"}')).body.detail, /^since: must be a date as/);
    assert.equal((await post('{"entitys":"x"}')).status, 422);

    const release = holdPage(4);
    assert.equal((await post("{}")).status, 202);
    assert.equal((await post("{}")).status, 409);
    await until(() => statistics.progress.rows === 148, "only the last page is missing");
    const { body } = await ask({});
    assert.equal(body.state, "running");
    assert.deepEqual(body.statistics, { done: 1, to_do: 1 });
    assert.equal(body.rows, 148);
    assert.ok(body.rows_per_second > 0);
    assert.deepEqual([body.skipped, body.refused], [0, 0], "release 0.1.0 can follow it");
    release();
    await until(async () => (await ask({})).body.state === "done", "it is done");
    assert.equal((await post("{}")).status, 202);
  });
});

/** Runs the command against that port. */
async function command(
  port: number,
  args: readonly string[],
  { columns, lineIntervalMs = 0, token = "s3cret-token", env = {}, onWrite = () => {} }: {
    columns?: number;
    lineIntervalMs?: number;
    token?: string;
    env?: Readonly<Record<string, string>>;
    onWrite?: (written: string) => void;
  } = {},
) {
  let written = "";
  let complained = "";
  const status = await importStatistics(
    args,
    () => ({ INGEST_PORT: String(port), SERVICE_TOKEN: token, ...env }),
    {
      write: (text) => onWrite(written += text),
      complain: (text) => void (complained += `${text}\n`),
      columns,
      intervalMs: 2,
      lineIntervalMs,
    },
  );
  return { status, written, complained };
}

Deno.test("The command has ingest import and shows its progress, a line or a bar", async () => {
  await importing(async ({ holdPage, port }) => {
    // a page is held back until that has been shown
    const until = (shown: string, page: number) => {
      const release = holdPage(page);
      return (written: string) => written.includes(shown) && release();
    };
    const onLine = until("0 of 1 statistics · 48 hours · ", 2);
    const plain = await command(port, ["--entities", "sensor.*"], { onWrite: onLine });
    assert.equal(plain.status, 0, plain.complained);
    assert.match(plain.written, /^0 of 1 statistics · 48 hours · [\d,]+\/s · \d+ s left$/m);
    const end = "hours of 1 statistics in \\d s; ingest delivers what waits";
    assert.match(plain.written, new RegExp(`^Imported 100 ${end}\\n$`, "m"));
    assert.ok(!plain.written.includes("\r"));
    const bar = await command(port, [], {
      columns: 60,
      env: { INGEST_HOST: "0.0.0.0" },
      // the first is of the statistic that has nothing new
      onWrite: until("1 of 2 statistics · 48 hours · ", 3),
    });
    assert.equal(bar.status, 0, bar.complained);
    assert.match(bar.written, /\r\[[#-]{24}\] 1 of 2 statistics · 48 hours · /);
    const lines = bar.written.split("\x1b[K").slice(0, -1).map((line) => line.replace("\r", ""));
    assert.ok(lines.every(({ length }) => length < 60), "a line would wrap");
    const [last = ""] = bar.written.split("\r\x1b[K").slice(-1);
    assert.match(last, /^Imported 100 hours of 2 statistics in \d s; ingest delivers /);
  });
});

Deno.test("The command ends with 1 where something is not imported, and says what", async () => {
  await importing(async ({ port }) => {
    const unauthorized = await command(port, [], { token: "wrong-token" });
    assert.equal(unauthorized.status, 1);
    assert.match(unauthorized.complained, /Ingest answered 401: SERVICE_TOKEN is missing or wrong/);
  });
  const unreadable: HassCommands = {
    command: (type) => {
      if (["get_states", "config/entity_registry/list"].includes(type)) return Promise.resolve([]);
      if (type !== "recorder/list_statistic_ids") {
        return Promise.reject(new CommandFailed("home_assistant_error", "no such table"));
      }
      return Promise.resolve([{ statistic_id: "energy:solar" }]);
    },
  };
  await importing(async ({ port }) => {
    const { status, complained } = await command(port, []);
    assert.equal(status, 1);
    assert.match(
      complained,
      /^Not everything is imported: energy:solar cannot be read: no such table$/m,
    );
  }, { commands: () => unreadable });
  const away = await command(1, []);
  assert.equal(away.status, 1);
  assert.match(
    away.complained,
    /^Cannot reach ingest at http:\/\/127\.0\.0\.1:1 \(.*\); see that it runs, and INGEST_HOST/,
  );
});

Deno.test("The command ends with 2 where it is asked or configured wrong", async () => {
  const wrong = async (args: readonly string[], message: RegExp, env = {}) => {
    const { status, complained } = await command(1, args, { env });
    assert.equal(status, 2);
    assert.match(complained, message);
  };
  await wrong(["--since", "yesterday"], /^--since must be a date as 2024-01-31/);
  await wrong(["--entities", ""], /^--entities must not be empty/);
  await wrong(["--until", "x"], /--until.*see --help/);
  await wrong(["sensor.*"], /see --help/);
  await wrong([], /^INGEST_PORT is "x": it must be a whole number/, { INGEST_PORT: "x" });
  await wrong([], /SERVICE_TOKEN_FILE are both set/, { SERVICE_TOKEN_FILE: "x" });
  const help = await command(1, ["--help"]);
  assert.equal(help.status, 0);
  assert.match(help.written, /^Usage: ingest import-statistics/m);
});

Deno.test("The command follows an import that is under way, unless it has wishes of its own", async () => {
  await importing(async ({ holdPage, port, statistics }) => {
    const release = holdPage(1);
    assert.ok(statistics.start({}));
    const refused = await command(port, ["--since", "2024-01-01"]);
    assert.equal(refused.status, 1);
    assert.match(refused.complained, /^An import is under way already; try again after it/);
    const following = command(port, [], { lineIntervalMs: 60_000, onWrite: release });
    const { status, written, complained } = await following;
    assert.equal(status, 0);
    assert.match(complained, /this follows it/);
    assert.match(written, /^0 of 2 statistics.*\nImported 200 hours.*\n$/, "one line a minute");
  });
});

Deno.test("The command outlasts a restart of ingest, and has it go on", async () => {
  let served = 0;
  let started = 0;
  const progress = { ...NO_IMPORT, rows: 100, statistics: { done: 1, to_do: 0 } };
  // an ingest of release 0.1.0 has more to tell
  const old = { skipped: 3, refused: 0 };
  const serve = (port: number, states: readonly string[]) => {
    let answers = 0;
    return Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, ({ method }) => {
      if (method === "POST") return started++, Response.json({}, { status: 202 });
      served++;
      const state = started > 1 ? "done" : states[Math.min(answers++, states.length - 1)];
      return Response.json({ ...progress, ...old, state });
    });
  };
  const before = serve(0, ["running"]);
  const { port } = before.addr;
  const following = command(port, []);
  await until(() => served > 0, "the command follows");
  await before.shutdown();
  const after = serve(port, ["none"]);
  const { status, written } = await following;
  await after.shutdown();
  assert.equal(status, 0);
  assert.equal(started, 2);
  assert.match(written, /Imported 100 hours of 1 statistics/);
});

Deno.test("The programs carry statistics into InfluxDB, once, however often they are imported", async () => {
  using folder = new TemporaryFolder();
  await using influx = await FakeInfluxDb.start({ version: 1 });
  await using hass = new SimulatedHomeAssistant({ house: SAMPLE_HOUSE }).start();
  const [entity] = [...hass.registries.entities.values()].filter(({ entity_id, device_id }) =>
    entity_id.startsWith("sensor.") && device_id
  );
  assert.ok(entity);
  const { entity_id } = entity;
  const metadata = { ...HOUSE, statistic_id: entity_id };
  hass.statistics.import(metadata, hours(100, (i) => ({ mean: i, min: 0, max: 99 })));
  hass.statistics.import(SOLAR, hours(100, (i) => ({ state: i, sum: 100 + i })));
  await using enrich = await startEnrich({
    DATA_DIR: folder.path,
    INFLUXDB_URL: influx.url,
    INFLUXDB_DATABASE: "home",
  });
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
    SERVICE_TOKEN: "s3cret-token",
  });
  const port = Number(new URL(ingest.url).port);
  const stored = () => influx.points.filter(({ measurement }) => measurement === "statistics");
  const spooled = async (args: readonly string[]) => {
    const { written } = await command(port, args);
    await until(async () => {
      const response = await ingest.get("/status", { headers: AUTHORIZATION });
      return (await response.json()).events.queued === 0;
    }, "nothing waits");
    return written;
  };
  assert.match(await spooled([]), /Imported 200 hours of \d+ statistics/);
  const first = stored();
  assert.equal(first.length, 200);
  const ours = first.filter(({ tags }) => tags.get("entity_id") === entity_id);
  const values = ours.map((
    { timeNs, fields },
  ) => [Number(timeNs / 1_000_000n), fields.get("mean")]);
  assert.deepEqual(values, hours(100, (i) => i));
  assert.ok(ours.every(({ tags }) => tags.get("area")), "it has the names of its entity");
  assert.match(await spooled([]), /Imported 0 hours of \d+ statistics/);
  assert.match(await spooled(["--since", "2020-01-01"]), /Imported 200 hours/);
  assert.deepEqual(stored(), first);
});
