import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { TemporaryFolder } from "../temporary.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a program as its own process, with the permissions that it is run with. */
function spawn(
  name: "ingest" | "enrich",
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  folder: TemporaryFolder,
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      "--allow-env",
      "--allow-sys=statfs",
      `--allow-read=${folder.path}`,
      `--allow-write=${folder.path}`,
      `${ROOT}${name}.ts`,
      ...args,
    ],
    cwd: folder.path,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function ended(process: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await process.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** What the program has logged once it listens, and how it ends at the signal. */
async function listened(
  process: Deno.ChildProcess,
  signal: Deno.Signal,
): Promise<{ log: string; code: number }> {
  const reader = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let log = "";
  while (!log.includes("Listening")) {
    const { value, done } = await reader.read();
    assert.ok(!done, log);
    log += value;
  }
  process.kill(signal);
  const { code } = await process.status;
  await Promise.all([reader.cancel(), process.stdout.cancel()]);
  return { log, code };
}

Deno.test("A program tells its help and its version", async () => {
  using folder = new TemporaryFolder();
  const [help, version] = await Promise.all([
    ended(spawn("ingest", ["--help"], {}, folder)),
    ended(spawn("enrich", ["--version"], {}, folder)),
  ]);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /Usage: ingest[^]*HASS_URL[^]*HASS_TOKEN_FILE/);
  assert.equal(version.code, 0);
  assert.match(version.stdout, /^enrich \d+\.\d+\.\d+\n$/);
});

Deno.test("A program that is configured wrong says all of it, ends with 2, and opens nothing", async () => {
  using folder = new TemporaryFolder();
  const [wrong, option] = await Promise.all([
    ended(spawn("ingest", [], {
      HASS_URL: "homeassistant.local",
      HASS_TOKEN_FILE: `${folder.path}/none`,
      HASS_TOKN: "s3cret-token",
      INGEST_PORT: "many",
    }, folder)),
    ended(spawn("enrich", ["--verbose"], {}, folder)),
  ]);
  assert.equal(wrong.code, 2);
  const lines = wrong.stderr.trim().split("\n");
  assert.equal(lines.length, 4, wrong.stderr);
  assert.ok(lines.every((line) => line.startsWith("ingest: ")));
  assert.match(wrong.stderr, /warning: HASS_TOKN is no setting.*HASS_TOKEN/);
  assert.match(wrong.stderr, /HASS_URL must begin with http/);
  assert.match(wrong.stderr, /HASS_TOKEN_FILE must name a file that can be read/);
  assert.match(wrong.stderr, /INGEST_PORT is "many": it must be a whole number/);
  assert.doesNotMatch(wrong.stderr, /s3cret-token/);
  assert.equal(option.code, 2);
  assert.match(option.stderr, /--verbose/);
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});

Deno.test("A program stops with 0 on SIGTERM and on SIGINT, and reads an .env", async () => {
  using folder = new TemporaryFolder();
  Deno.writeTextFileSync(folder.file(".env"), "ENRICH_PORT=0\nLOG_FORMAT=json\nLOG_LEVEL=error\n");
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const process = spawn("enrich", [], { DATA_DIR: folder.path, LOG_LEVEL: "info" }, folder);
    const { log, code } = await listened(process, signal);
    assert.equal(
      JSON.parse(log.split("\n")[0] ?? "").level,
      "INFO",
      "LOG_FORMAT of the .env holds",
    );
    assert.equal(code, 0);
  }
});

Deno.test("A program says in its log who may read its files, and ends with 1 and one sentence where it cannot write them", async () => {
  using folder = new TemporaryFolder();
  const open = folder.file("open");
  Deno.mkdirSync(open);
  Deno.chmodSync(open, 0o755);
  Deno.writeTextFileSync(folder.file("file"), "");
  const env = { HASS_URL: "http://127.0.0.1:1", HASS_TOKEN: "none", ENRICH_PORT: "0" };
  for (const [name, file] of [["ingest", "outbox.sqlite"], ["enrich", "store.sqlite"]] as const) {
    Deno.writeTextFileSync(`${open}/${file}`, "");
    Deno.chmodSync(`${open}/${file}`, 0o644);
    const process = spawn(name, [], { ...env, INGEST_PORT: "0", DATA_DIR: open }, folder);
    const { log } = await listened(process, "SIGTERM");
    assert.match(log, new RegExp(`warn.* may read ${file} .*mode 644.*chmod -R go= `));

    const wrong = await ended(
      spawn(name, [], { ...env, INGEST_PORT: "0", DATA_DIR: folder.file("file") }, folder),
    );
    assert.equal(wrong.code, 1);
    const lines = (wrong.stdout + wrong.stderr).trim().split("\n");
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0] ?? "", /error .*Cannot go on: Cannot write to DATA_DIR \(\S+: it is no/);
  }
});

Deno.test("A program says in one sentence that its port is taken, or that another process holds its files", async () => {
  using folder = new TemporaryFolder();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const env = {
    HASS_URL: "http://127.0.0.1:1",
    HASS_TOKEN: "none",
    INGEST_PORT: String(taken.addr.port),
    ENRICH_PORT: String(taken.addr.port),
  };
  for (const [name, file] of [["ingest", "outbox.sqlite"], ["enrich", "store.sqlite"]] as const) {
    const sentenceWith = async (folderName: string) => {
      const DATA_DIR = folder.file(folderName);
      const { code, stdout, stderr } = await ended(spawn(name, [], { ...env, DATA_DIR }, folder));
      assert.equal(code, 1);
      return (stdout + stderr).trimEnd().replace(/^.* Cannot go on: /, "");
    };
    assert.equal(
      await sentenceWith("free"),
      `Cannot listen on 127.0.0.1:${taken.addr.port}: the port is taken; end what listens there, ` +
        `or set ${name.toUpperCase()}_PORT to another`,
    );
    Deno.mkdirSync(folder.file(`held-${name}`));
    using holder = new DatabaseSync(folder.file(`held-${name}/${file}`));
    holder.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; BEGIN EXCLUSIVE; COMMIT");
    assert.equal(
      await sentenceWith(`held-${name}`),
      `Cannot open ${folder.file(`held-${name}/${file}`)}: another process holds it; ` +
        "two programs at once need two DATA_DIRs",
    );
  }
});
