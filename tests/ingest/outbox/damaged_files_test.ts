import assert from "node:assert/strict";
import { damagedFiles, markRecovered, setAside } from "../../../lib/ingest/outbox/damaged_files.ts";
import { TemporaryFolder } from "../../temporary.ts";

Deno.test("What is set aside is found, with or without its log, until it is recovered", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  assert.deepEqual(damagedFiles(folder.path), []);
  Deno.writeTextFileSync(path, "file");
  Deno.writeTextFileSync(`${path}-wal`, "log");
  const name = setAside(path);
  assert.equal(Deno.readTextFileSync(`${name}-wal`), "log");
  const file = name.slice(folder.path.length + 1);
  assert.deepEqual(damagedFiles(folder.path), [file]);
  // as release 0.1.0 named them too; the log alone is as good
  const older = "outbox.sqlite.damaged-2026-01-01T000000.000Z";
  Deno.writeTextFileSync(folder.file(`${older}-wal`), "log");
  for (const other of ["outbox.sqlite", "x.damaged-2026-01-01T000000.000Z", `${file}.old`]) {
    Deno.writeTextFileSync(folder.file(other), "another");
  }
  assert.deepEqual(damagedFiles(folder.path), [older, file]);
  assert.equal(markRecovered(name), `${file}.recovered`);
  assert.deepEqual(damagedFiles(folder.path), [older]);
  assert.equal(Deno.readTextFileSync(`${name}.recovered-wal`), "log");
});

Deno.test("A folder that is not there has no damaged file", () => {
  using folder = new TemporaryFolder();
  assert.deepEqual(damagedFiles(folder.file("none")), []);
});
