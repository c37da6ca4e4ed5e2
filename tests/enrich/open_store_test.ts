import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { copyRelease, storedPoints } from "../release_files.ts";
import { TemporaryFolder } from "../temporary.ts";
import { startEnrich } from "../whole_programs.ts";

const ENRICH = new URL("../../enrich.ts", import.meta.url).pathname;
const COUNT = "SELECT count(*) AS n FROM point";

/** Enrich as a process of its own. */
function spawnEnrich(folder: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-env",
      "--allow-net=127.0.0.1",
      "--allow-sys=statfs",
      `--allow-read=${folder}`,
      `--allow-write=${folder}`,
      ENRICH,
    ],
    env: { DATA_DIR: folder, ENRICH_PORT: "0", INFLUXDB_URL: "", LOG_LEVEL: "info" },
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Its output up to the address that it listens on, or, where it ends first, all of it. */
async function outputOf(process: Deno.ChildProcess): Promise<string> {
  const chunks: Uint8Array[] = [];
  const listening = Promise.withResolvers<void>();
  const text = () => Buffer.concat(chunks).toString();
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) {
      chunks.push(chunk);
      if (/Listening on \S+/.test(text())) listening.resolve();
    }
  };
  const ended = Promise.all([read(process.stderr), read(process.stdout)]);
  await Promise.race([ended, listening.promise]);
  return text();
}

async function killed(process: Deno.ChildProcess): Promise<void> {
  process.kill("SIGKILL");
  await process.status;
}

async function send(url: string, second: number): Promise<void> {
  const response = await fetch(`${url}/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      event_type: "x",
      data: { second },
      origin: "LOCAL",
      time_fired: new Date(Date.now() + second).toISOString(),
    }),
  });
  assert.equal(response.status, 200, await response.text());
}

/** What a process of its own reads in the file, opened for reading alone. */
async function readElsewhere(path: string, query: string): Promise<unknown> {
  const code = `import { DatabaseSync } from "node:sqlite";
    const [path, query] = Deno.args;
    const rows = new DatabaseSync(path, { readOnly: true }).prepare(query).all();
    console.log(JSON.stringify(rows));`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", code, path, query],
  }).output();
  const text = new TextDecoder();
  return JSON.parse(text.decode(stdout) || `"${text.decode(stderr).slice(0, 200)}"`);
}

Deno.test("Another process reads the local store while enrich writes to it, and after it has stopped", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("store.sqlite");
  {
    await using enrich = await startEnrich({ DATA_DIR: folder.path });
    await send(enrich.url, 1);
    assert.deepEqual(await readElsewhere(path, COUNT), [{ n: 1 }]);
    using reader = new DatabaseSync(path, { readOnly: true });
    reader.exec("BEGIN");
    assert.equal(reader.prepare(COUNT).get()?.n, 1);
    await send(enrich.url, 2);
    assert.equal(reader.prepare(COUNT).get()?.n, 1, "what it began to read stays as it was");
    reader.exec("COMMIT");
    assert.equal(reader.prepare(COUNT).get()?.n, 2);
    assert.equal((await enrich.get("/health")).status, 200);
    assert.throws(() => reader.exec("DELETE FROM point"), /readonly/);
  }
  assert.deepEqual(await readElsewhere(path, COUNT), [{ n: 2 }]);
  await using again = await startEnrich({ DATA_DIR: folder.path });
  await send(again.url, 3);
  assert.deepEqual(await readElsewhere(path, COUNT), [{ n: 3 }]);
});

Deno.test("A second enrich on the local store is refused, and starts at once when the first was killed", async () => {
  using folder = new TemporaryFolder();
  const first = spawnEnrich(folder.path);
  try {
    assert.match(await outputOf(first), /Listening on/);
    const second = spawnEnrich(folder.path);
    assert.match(
      await outputOf(second),
      /Cannot open .*store\.sqlite: another process holds it; two programs at once need two DATA_DIRs/,
    );
    assert.equal((await second.status).code, 1);
    await assert.rejects(startEnrich({ DATA_DIR: folder.path }), /another process holds it/);
    assert.deepEqual(await readElsewhere(folder.file("store.sqlite"), COUNT), [{ n: 0 }]);
  } finally {
    await killed(first);
  }
  await using third = await startEnrich({ DATA_DIR: folder.path });
  await send(third.url, 1);
});

/** What enrich 0.1.0 does with its file as it starts. */
function openAs010(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 100 });
  try {
    db.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
    db.exec("BEGIN IMMEDIATE; COMMIT;");
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

Deno.test("Enrich 0.1.0 and this one refuse each other the file, whichever came first", async () => {
  using folder = new TemporaryFolder();
  copyRelease(folder.path);
  const path = folder.file("store.sqlite");
  const before = storedPoints(path);
  const old = openAs010(path);
  await assert.rejects(startEnrich({ DATA_DIR: folder.path }), /another process holds it/);
  old.close();
  {
    await using enrich = await startEnrich({ DATA_DIR: folder.path, LOCAL_STORE_DAYS: "36500" });
    assert.throws(() => openAs010(path), /locked/);
    await send(enrich.url, 1);
  }
  openAs010(path).close();
  const after = storedPoints(path);
  assert.equal(after.size, before.size + 1);
  for (const [key, point] of before) assert.deepEqual(after.get(key), point);
});
