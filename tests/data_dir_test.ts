import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import {
  dataDirFault,
  makeDataDir,
  makePrivateFile,
  saysReadable,
  tryDataDir,
} from "../lib/data_dir.ts";
import { TemporaryFolder } from "./temporary.ts";
import { startEnrich, startIngest } from "./whole_programs.ts";

const ROOT = new URL("..", import.meta.url);
const isLinux = Deno.build.os === "linux";
const HASS = { HASS_URL: "http://127.0.0.1:1", HASS_TOKEN: "none" };

/** The modes of the folder and of all that is in it, by name. */
function modesIn(folder: string): Record<string, string> {
  const modeOf = (path: string) => ((Deno.statSync(path).mode ?? 0) & 0o777).toString(8);
  return Object.fromEntries([
    [".", modeOf(folder)],
    ...[...Deno.readDirSync(folder)].map(({ name }) => [name, modeOf(`${folder}/${name}`)]),
  ]);
}

/** Runs the script in a process of its own, with every permission; `lib` is imported as `#lib/`. */
async function ended(script: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", script.replaceAll("#", ROOT.href)],
    cwd: ROOT.pathname,
    stdin: "null",
  }).output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, error);
  return out?.trim() ?? "";
}

for (const umask of ["0", "022", "027", "077", "0777"]) {
  Deno.test({
    name: `The files, their logs and their folders are their user's alone under umask ${umask}`,
    ignore: !isLinux,
    fn: async () => {
      using folder = new TemporaryFolder();
      const dataDir = folder.file("data");
      await ended(`
        import { makeDataDir } from "#lib/data_dir.ts";
        import { setAside } from "#lib/ingest/outbox/damaged_files.ts";
        import { Outbox } from "#lib/ingest/outbox/outbox.ts";
        import { LocalStore } from "#lib/enrich/local/local_store.ts";
        const before = Deno.umask(0o${umask});
        makeDataDir("${dataDir}");
        const outbox = new Outbox({ path: "${dataDir}/outbox.sqlite", maxBytes: 5e7, onFailure: console.error });
        outbox.append(["{}"]);
        const store = new LocalStore("${dataDir}/store.sqlite", { days: 1, maxBytes: 1e8 });
        await store.probe();
        for (const name of ["outbox.sqlite", "store.sqlite"]) {
          for (const suffix of ["", "-wal"]) {
            Deno.statSync("${dataDir}/" + name + suffix);
          }
        }
        setAside("${dataDir}/outbox.sqlite");
        Deno.umask(before);
        Deno.kill(Deno.pid, "SIGTERM");
      `).catch(() => {});
      const { ".": own, ...files } = modesIn(dataDir);
      assert.equal(own, "700");
      const names = Object.keys(files).sort();
      assert.equal(names.filter((name) => name.startsWith("store.sqlite")).length, 4, `${names}`);
      assert.equal(names.filter((name) => name.includes("damaged")).length, 2, `${names}`);
      assert.deepEqual(new Set(Object.values(files)), new Set(["600"]), JSON.stringify(files));
    },
  });
}

Deno.test("The folders above DATA_DIR that are made are their user's alone too; what was there keeps its mode", () => {
  using folder = new TemporaryFolder();
  Deno.mkdirSync(folder.file("there"), { mode: 0o755 });
  makeDataDir(folder.file("there"));
  makeDataDir(folder.file("there/a/b"));
  assert.equal(modesIn(folder.path).there, "755");
  assert.equal(modesIn(folder.file("there")).a, "700");
  assert.equal(modesIn(folder.file("there/a")).b, "700");
  Deno.writeTextFileSync(folder.file("file"), "held", { mode: 0o644 });
  makePrivateFile(folder.file("file"));
  assert.equal(modesIn(folder.path).file, "644");
  assert.equal(Deno.readTextFileSync(folder.file("file")), "held");
});

Deno.test("Files that others may read are told of, with their modes, unless the folder lets nobody in", () => {
  using folder = new TemporaryFolder();
  const dataDir = folder.file("data");
  Deno.mkdirSync(dataDir);
  for (const [name, mode] of [["outbox.sqlite", 0o644], ["outbox.sqlite-wal", 0o640]] as const) {
    Deno.writeTextFileSync(`${dataDir}/${name}`, "");
    Deno.chmodSync(`${dataDir}/${name}`, mode);
  }
  const says = (mode: number) => {
    Deno.chmodSync(dataDir, mode);
    return saysReadable(dataDir, "outbox.sqlite");
  };
  assert.equal(says(0o700), undefined);
  assert.equal(
    says(0o755),
    "Other users of this machine may read outbox.sqlite (mode 644), outbox.sqlite-wal (mode 640) " +
      `in DATA_DIR ${dataDir} (mode 755); if they should not, run: chmod -R go= ${dataDir}`,
  );
  assert.match(says(0o701) ?? "", /outbox\.sqlite \(mode 644\) in/);
  assert.equal(saysReadable(dataDir, "store.sqlite"), undefined);
  for (const name of ["outbox.sqlite", "outbox.sqlite-wal"]) {
    Deno.chmodSync(`${dataDir}/${name}`, 0o600);
  }
  assert.equal(says(0o755), undefined);
});

/** What both programs end with. */
async function endings(dataDir: string): Promise<string[]> {
  const failed = (starting: Promise<unknown>) =>
    starting.then(() => "it started", (error: Error) => error.message);
  return [
    await failed(startIngest({ ...HASS, DATA_DIR: dataDir })),
    await failed(startEnrich({ DATA_DIR: dataDir })),
  ];
}

Deno.test("A DATA_DIR that is no folder is named by both programs, with what to do", async () => {
  using folder = new TemporaryFolder();
  Deno.writeTextFileSync(folder.file("file"), "");
  for (const said of await endings(folder.file("file"))) {
    assert.match(said, /^Cannot write to DATA_DIR \(\S+\/file: it is no folder\); set DATA_DIR to/);
  }
  for (const said of await endings(folder.file("file/data"))) {
    assert.match(
      said,
      /^Cannot write to DATA_DIR \(\S+\/file\/data: something above it is no folder\)/,
    );
  }
  Deno.mkdirSync(folder.file("outbox.sqlite"));
  Deno.mkdirSync(folder.file("store.sqlite"));
  for (const said of await endings(folder.path)) {
    assert.match(
      said,
      /^Cannot write to DATA_DIR \(\S+\.sqlite: it is a folder, and should be a file\)/,
    );
  }
});

Deno.test("A DATA_DIR that Deno does not permit is named, with the permission", async () => {
  for (const said of await endings("/var/not-permitted")) {
    assert.match(said, /^Cannot write to DATA_DIR \(\/var\/not-permitted: Deno .*--allow-write$/);
  }
});

Deno.test({
  name: "A DATA_DIR where nobody, root neither, may make a file is named, with what to do",
  ignore: !isLinux,
  fn: async () => {
    const said = await ended(`
      import { makeDataDir, makePrivateFile } from "#lib/data_dir.ts";
      for (const work of [() => makeDataDir("/sys/ha-ingestor"), () => makePrivateFile("/sys/outbox.sqlite")]) {
        try { work(); } catch (error) { console.log(error.message); }
      }
    `);
    const fault =
      /^Cannot write to DATA_DIR \(\/sys\/\S+: (permission denied|not permitted|the file system is read-only)\); \S+/;
    assert.equal(said.split("\n").length, 2, said);
    for (const line of said.split("\n")) assert.match(line, fault);
  },
});

Deno.test("What SQLite cannot open or write is a fault of DATA_DIR, and nothing else is", () => {
  using folder = new TemporaryFolder();
  const caught = (work: () => void) => {
    try {
      work();
    } catch (error) {
      return error;
    }
    return assert.fail("Nothing was thrown");
  };
  const path = folder.file("none/outbox.sqlite");
  const unopened = caught(() => new DatabaseSync(path));
  assert.match(String(dataDirFault(unopened, path)), /DATA_DIR \(.*unable to open database file/);
  const file = folder.file("outbox.sqlite");
  new DatabaseSync(file).close();
  using db = new DatabaseSync(file, { readOnly: true });
  const unwritten = caught(() => db.exec("CREATE TABLE t (v)"));
  assert.match(String(dataDirFault(unwritten, file)), /DATA_DIR \(.*attempt to write a readonly/);
  const wrong = caught(() => db.exec("SELECT nothing"));
  assert.equal(dataDirFault(wrong, file), undefined);
});

Deno.test("tryDataDir leaves nothing behind, and sees a file that cannot be written", () => {
  using folder = new TemporaryFolder();
  const dataDir = folder.file("data");
  tryDataDir(dataDir, "outbox.sqlite");
  assert.deepEqual([...Deno.readDirSync(dataDir)], []);
  Deno.mkdirSync(`${dataDir}/outbox.sqlite`);
  assert.throws(() => tryDataDir(dataDir, "outbox.sqlite"), /outbox\.sqlite: it is a folder/);
});
