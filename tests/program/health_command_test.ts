import assert from "node:assert/strict";
import type { CommandOutput } from "../../lib/program/command.ts";
import { health } from "../../lib/program/health_command.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { startEnrich, startIngest } from "../whole_programs.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const SERVICE_TOKEN = "s3cret-token";

async function check(program: "ingest" | "enrich", env: Readonly<Record<string, string>>) {
  let written = "";
  let complained = "";
  const output: CommandOutput = {
    write: (text) => void (written += text),
    complain: (text) => void (complained += `${text}\n`),
    columns: undefined,
    intervalMs: 1,
    lineIntervalMs: 0,
  };
  return { status: await health(program, () => env, output), written, complained };
}

Deno.test("health ends with 0 where the program is ready, and with 1 and every reason where it is not", async () => {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant().start();
  await using enrich = await startEnrich({ DATA_DIR: folder.path, SERVICE_TOKEN });
  await using ingest = await startIngest({
    DATA_DIR: folder.path,
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    SERVICE_TOKEN,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  const env = {
    INGEST_HOST: "0.0.0.0",
    INGEST_PORT: new URL(ingest.url).port,
    ENRICH_PORT: new URL(enrich.url).port,
    SERVICE_TOKEN,
  };
  assert.deepEqual(await check("enrich", env), { status: 0, written: "ready\n", complained: "" });
  await until(async () => (await check("ingest", env)).status === 0, "ingest is ready");

  await hass.stop();
  await until(async () => (await check("ingest", env)).status === 1, "ingest is not ready");
  const { written, complained } = await check("ingest", env);
  assert.equal(written, "");
  assert.match(complained, /^Home Assistant is not connected: .*: see that Home Assistant runs/);
});

Deno.test("health ends with 1 and what to do where no program answers, another does, or it is asked wrong", async () => {
  using folder = new TemporaryFolder();
  let port: string;
  {
    await using enrich = await startEnrich({ DATA_DIR: folder.path, SERVICE_TOKEN });
    port = new URL(enrich.url).port;
    const { status, complained } = await check("enrich", { ENRICH_PORT: port });
    assert.equal(status, 1);
    assert.equal(complained, "Enrich answered 401: SERVICE_TOKEN is missing or wrong\n");
  }
  const away = await check("enrich", { ENRICH_PORT: port, ENRICH_HOST: "::1" });
  assert.equal(away.status, 1);
  assert.match(
    away.complained,
    /^Cannot reach enrich at http:\/\/\[::1\]:\d+ \(.*\); see that it runs, and ENRICH_HOST and ENRICH_PORT$/m,
  );
  await using other = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("<html>", { status: 404 }),
  );
  const url = `http://127.0.0.1:${other.addr.port}`;
  assert.deepEqual(await check("ingest", { INGEST_PORT: String(other.addr.port) }), {
    status: 1,
    written: "",
    complained: `What answers at ${url} is no ingest of this version (it answered 404); ` +
      "check INGEST_HOST and INGEST_PORT\n",
  });
  const wrong = await check("enrich", {
    ENRICH_PORT: "many",
    SERVICE_TOKEN_FILE: folder.file("none"),
  });
  assert.equal(wrong.status, 1);
  assert.match(wrong.complained, /^ENRICH_PORT is "many"[^]*\nSERVICE_TOKEN_FILE must name /);
});

for (const program of ["ingest", "enrich"] as const) {
  Deno.test(`${program} health is a command of the program`, async () => {
    using folder = new TemporaryFolder();
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    listener.close();
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-net=127.0.0.1",
        "--allow-env",
        "--allow-read=.env",
        `${ROOT}${program}.ts`,
        "health",
      ],
      cwd: folder.path,
      env: { [`${program.toUpperCase()}_PORT`]: String(listener.addr.port) },
    }).output();
    assert.equal(code, 1);
    assert.match(
      new TextDecoder().decode(stderr),
      new RegExp(`^${program}: Cannot reach ${program} at `),
    );
  });
}

Deno.test("health says what answers instead of the program, in words", async () => {
  const answers = [
    () => new Response("<html>Service Unavailable</html>", { status: 503 }),
    () => new Response("", { status: 503 }),
    () => Response.json({ detail: "It broke", cause: "the disk is full" }, { status: 500 }),
  ];
  let request = 0;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => answers[request++]?.() ?? new Response(),
  );
  const env = { ENRICH_PORT: String(server.addr.port) };
  const stranger =
    /^What answers at .* is no enrich of this version \(it answered 503\); check ENR/;
  assert.match((await check("enrich", env)).complained, stranger);
  assert.match((await check("enrich", env)).complained, stranger);
  const broken = await check("enrich", env);
  assert.deepEqual(broken, {
    status: 1,
    written: "",
    complained: "Enrich answered 500: It broke: the disk is full\n",
  });
});

Deno.test("health says what waits for a person though the program is ready", async () => {
  using folder = new TemporaryFolder();
  const file = "outbox.sqlite.damaged-2026-06-25T212005.162Z";
  Deno.writeTextFileSync(folder.file(file), "");
  await using hass = new SimulatedHomeAssistant().start();
  await using enrich = await startEnrich({ DATA_DIR: folder.path });
  await using ingest = await startIngest({
    DATA_DIR: folder.path,
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  const env = { INGEST_PORT: new URL(ingest.url).port };
  await until(async () => (await check("ingest", env)).status === 0, "ingest is ready");
  const { written } = await check("ingest", env);
  assert.match(
    written,
    new RegExp(`^ready\nAn outbox was damaged .*${file}.*: run "ingest outbox`),
  );
  const page = await (await ingest.get("/")).text();
  assert.match(page, /class="note"[^]*some wait for you/);
  await hass.stop();
  await until(async () => (await check("ingest", env)).status === 1, "ingest is not ready");
  const { complained } = await check("ingest", env);
  assert.match(complained, /^Home Assistant is not connected: .*\nAn outbox was damaged /);
  assert.match(await (await ingest.get("/")).text(), /class="bad"[^]*An outbox was damaged/);
  Deno.removeSync(folder.file(file));
  assert.doesNotMatch((await check("ingest", env)).complained, /damaged/);
  assert.doesNotMatch(await (await ingest.get("/")).text(), /An outbox was damaged/);
});
