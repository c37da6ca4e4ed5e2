import assert from "node:assert/strict";
import { flowOf, watchFlow } from "../../lib/program/flow.ts";
import { findProgram } from "../../lib/program/running_program.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { startEnrich, startIngest } from "../whole_programs.ts";

Deno.test("flowOf names the first part of the way that events do not get past", () => {
  const ingest = {
    home_assistant: { kind: "capturing" },
    delivery: {},
    events: { received: 2, delivered: 0 },
    outbox: { full: false },
  };
  const enrich = { store: { description: "the local store" } };
  assert.equal(flowOf(undefined, undefined), "enrich is starting");
  assert.equal(flowOf(undefined, enrich), "ingest is starting");
  const connecting = { ...ingest, home_assistant: { kind: "connecting" } };
  assert.equal(
    flowOf(connecting, enrich),
    "not capturing: Home Assistant has not answered yet",
  );
  const refused = { kind: "token refused", reason: "refused the token" };
  assert.equal(
    flowOf({ ...ingest, home_assistant: refused }, enrich),
    "not capturing: Home Assistant refused the token",
  );
  assert.equal(
    flowOf({ ...ingest, delivery: { problem: "answered 401" } }, enrich),
    "capturing, but events wait in the outbox: enrich answered 401",
  );
  const refusing = {
    ...ingest,
    outbox: { full: true, full_reason: "the outbox has reached 8 MB" },
  };
  assert.equal(
    flowOf({ ...refusing, events: { received: 2, delivered: 1 } }, enrich),
    "events are refused: the outbox has reached 8 MB",
  );
  const full = { store: { ...enrich.store, problem: "the disk is full" } };
  assert.equal(
    flowOf(ingest, full),
    "capturing, but the store takes nothing: the disk is full",
  );
  assert.equal(flowOf(ingest, enrich), "capturing");
  const delivered = { ...ingest, events: { received: 2, delivered: 1 } };
  assert.equal(flowOf(delivered, enrich), "flowing: captured, delivered, stored");
});

Deno.test("watchFlow writes each change of the flow, once, until it is stopped", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant().start();
  const SERVICE_TOKEN = "s3cret-token";
  await using enrich = await startEnrich({ DATA_DIR: folder.path, SERVICE_TOKEN });
  await using ingest = await startIngest({
    DATA_DIR: folder.path,
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    SERVICE_TOKEN,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  const env = {
    INGEST_PORT: new URL(ingest.url).port,
    ENRICH_PORT: new URL(enrich.url).port,
    SERVICE_TOKEN,
  };
  const programs = { ingest: findProgram("ingest", env), enrich: findProgram("enrich", env) };
  let written = "";
  const output = {
    write: (text: string) => void (written += text),
    complain: assert.fail,
    columns: undefined,
    intervalMs: 1,
    lineIntervalMs: 0,
  };
  const stopping = new AbortController();
  const watching = watchFlow(programs, output, stopping.signal);
  const writes = (flow: string) =>
    until(() => written.trimEnd().split("\n").at(-1)?.slice(9).startsWith(flow) ?? false, flow);
  await writes("capturing (");
  hass.fire("mark", {});
  await writes("flowing");
  await hass.stop();
  await writes("not capturing");
  await enrich.stop();
  await writes("enrich is starting");
  stopping.abort();
  await watching;
  const lines = written.split("\n");
  assert.match(lines[0] ?? "", /^Events are stored in the local store .*store\.sqlite/);
  const flows = lines.map((line) => line.replace(/^[\d:]{8} | \(\d.*/g, ""));
  assert.ok(flows.every((flow, i) => flow !== flows[i - 1]), written);
  assert.match(
    written,
    /^[\d:]{8} flowing: captured, delivered, stored \(\d+ captured, \d+ stored\)$/m,
  );
});
