import assert from "node:assert/strict";
import { TemporaryFolder } from "./temporary.ts";
import { startEnrich } from "./whole_programs.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** Starts both programs, as `deno task start` does. */
function start(env: Readonly<Record<string, string>>): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-env",
      "--allow-net=127.0.0.1,[::1]",
      "--allow-read",
      `--allow-run=${Deno.execPath()}`,
      "start.ts",
    ],
    cwd: ROOT,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test("A second start says where the program is already running, and starts nothing", async () => {
  using folder = new TemporaryFolder();
  await using enrich = await startEnrich({ DATA_DIR: folder.file("first") });
  const { code, stdout, stderr } = await start({
    HASS_URL: "http://127.0.0.1:1",
    HASS_TOKEN: "a.b.c",
    INGEST_PORT: "0",
    ENRICH_PORT: new URL(enrich.url).port,
    DATA_DIR: folder.file("second"),
  }).output();
  const decoder = new TextDecoder();
  assert.deepEqual([code, decoder.decode(stdout), decoder.decode(stderr)], [
    1,
    "",
    `start: enrich is already running at ${enrich.url}; end it before you start it here, or set ` +
    "ENRICH_PORT and DATA_DIR to others\n",
  ]);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["first"]);
});

Deno.test("A start in an app names the Home Assistant that it is for, and logs at LOG_LEVEL's own default", async () => {
  using folder = new TemporaryFolder();
  const process = start({
    SUPERVISOR_TOKEN: "s3cret-of-the-supervisor",
    INGEST_PORT: "0",
    ENRICH_PORT: "0",
    DATA_DIR: folder.path,
  });
  let said = "";
  const reading = [process.stdout, process.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (/info .*ingest: Listening/.test(said) && /enrich +http/.test(said)) stop();
    }
  });
  const stop = () => {
    try {
      process.kill("SIGTERM");
    } catch {
      // it has ended by itself
    }
  };
  const [{ code }] = await Promise.all([process.status, ...reading]);
  assert.equal(code, 0, said);
  assert.match(said, /^Home Assistant {2}http:\/\/supervisor\/core$/m);
  assert.doesNotMatch(said, /s3cret|undefined/);
});

Deno.test("A start shows of HASS_URL only where it leads: a password may be anywhere in the rest", async () => {
  for (const rest of ["admin:pa/s5ecret@127.0.0.1:1", "127.0.0.1:1/?p=s5ecret", "a:8/s5ecret@b"]) {
    using folder = new TemporaryFolder();
    const { code, stdout, stderr } = await start({
      HASS_URL: `http://${rest}`,
      HASS_TOKEN: 'a "refused" token',
      INGEST_PORT: "0",
      ENRICH_PORT: "0",
      DATA_DIR: folder.path,
    }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.notEqual(code, 0, said);
    assert.match(said, /^Home Assistant {2}\S+$/m);
    assert.doesNotMatch(said, /s5ecret/);
  }
});
