import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { DamagedOutbox } from "../../../lib/ingest/recovery/damaged_outbox.ts";
import { copyRelease, outboxContents } from "../../release_files.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { knownAt } from "../outbox/stretches.ts";

const PAGE_BYTES = 4_096;

function lineOf(n: number, chars = 1_000): string {
  return `{"event":{"event_type":"x","data":{"n":${n},"text":"${"ü".repeat(chars / 2)}"}}}`;
}

function opened(path: string): Outbox {
  return new Outbox({ path, maxBytes: 100_000_000, onFailure: assert.ifError });
}

function linesOf(n: number, chars?: number): string[] {
  return Array.from({ length: n }, (_, i) => lineOf(i, chars));
}

/** All that is read of the file. */
function salvaged(path: string) {
  using damaged = new DamagedOutbox(path);
  const found = [...damaged.read()];
  return {
    lines: found.flatMap(({ lines }) => lines),
    letters: found.flatMap(({ letters }) => letters),
    counted: damaged.counted,
  };
}

function damage(path: string, change: (bytes: Uint8Array) => void): void {
  const bytes = Deno.readFileSync(path);
  change(bytes);
  Deno.writeFileSync(path, bytes);
}

/** SQLite's own list of the pages of a table, by kind. */
function pagesOf(path: string, table: string, kind: string): number[] {
  using db = new DatabaseSync(path);
  return db.prepare("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = ? ORDER BY pageno")
    .all(table, kind).map(({ pageno }) => Number(pageno));
}

function fillPage(path: string, page: number, byte = 0xff): void {
  damage(path, (bytes) => bytes.fill(byte, (page - 1) * PAGE_BYTES, page * PAGE_BYTES));
}

function sorted(lines: readonly string[]): string[] {
  return [...lines].sort();
}

Deno.test("Of a sound file everything is read, once, and nothing that has left it", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          bytes: fc.oneof(fc.nat(200), fc.nat(9_000), fc.nat(60_000)),
          fate: fc.constantFrom("waits", "waits", "delivered", "refused", "discarded"),
        }),
        { maxLength: 80 },
      ),
      (events) => {
        using folder = new TemporaryFolder();
        const path = folder.file("outbox.sqlite");
        {
          using outbox = opened(path);
          assert.ok(outbox.append(events.map(({ bytes }, i) => lineOf(i, bytes))));
          outbox.setMeta("a", "b".repeat(10_000));
          outbox.append([], () => {
            outbox.chain.seen.see("a.b", knownAt(5));
            outbox.chain.openImport(9, 1);
            outbox.chain.gone(["a.b"]);
          });
          const seqs = (wanted: string) =>
            events.flatMap(({ fate }, i) => fate === wanted ? [i + 1] : []);
          const problems = [...seqs("refused"), ...seqs("discarded")]
            .map((seq) => ({ seq, reason: `refused ${seq}` }));
          const done = seqs("delivered");
          outbox.settle({ done, delivered: done.length, leftOut: {}, problems });
          outbox.waiting.failedAlone(1);
        }
        {
          using db = new DatabaseSync(path);
          events.forEach(({ fate }, i) => {
            if (fate === "discarded") db.exec(`DELETE FROM dead_letter WHERE seq = ${i + 1}`);
          });
        }
        const of = (wanted: string) =>
          events.flatMap(({ bytes, fate }, i) => fate === wanted ? [lineOf(i, bytes)] : []);
        const { lines, letters } = salvaged(path);
        assert.deepEqual(sorted(lines), sorted(of("waits")));
        assert.deepEqual(sorted(letters.map(({ line }) => line)), sorted(of("refused")));
        assert.ok(letters.every(({ reason }) => /^refused \d+$/.test(reason)));
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("A damaged page costs only what is on it, wherever in the tree it is", () => {
  for (const byte of [0xff, 0x00]) {
    using folder = new TemporaryFolder();
    const path = folder.file("outbox.sqlite");
    const lines = linesOf(4_000);
    {
      using outbox = opened(path);
      assert.ok(outbox.append(lines));
    }
    const inner = pagesOf(path, "outbox", "internal");
    assert.ok(inner.length > 1, "the tree has more than one floor");
    // the root, and with it the way to all rows, is one of them
    for (const page of inner) fillPage(path, page, byte);
    // negative control: SQLite finds nothing any more
    {
      using db = new DatabaseSync(path, { readOnly: true });
      const all = () => db.prepare("SELECT line FROM outbox ORDER BY seq").all();
      assert.ok(byte === 0 || throws(all), "SQLite reads it");
    }
    assert.deepEqual(sorted(salvaged(path).lines), sorted(lines));

    const leaves = new Set([5, 20, 21, 300].map((at) => inner[0]! + at));
    for (const page of leaves) fillPage(path, page, byte);
    const { lines: left, letters, counted } = salvaged(path);
    assert.equal(letters.length, 0);
    assert.equal(counted, 4_000);
    const lost = lines.length - left.length;
    assert.ok(lost >= leaves.size && lost <= 4 * leaves.size, `${lost} are lost`);
    assert.equal(new Set(left).size, left.length);
    assert.ok(left.every((line) => lines.includes(line)));
  }
});

function throws(work: () => unknown): boolean {
  try {
    work();
    return false;
  } catch {
    return true;
  }
}

Deno.test("A file without its beginning, or without its end, gives what is left", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const lines = linesOf(1_000);
  {
    using outbox = opened(path);
    assert.ok(outbox.append(lines));
  }
  damage(path, (bytes) => bytes.fill(0, 0, PAGE_BYTES));
  assert.deepEqual(sorted(salvaged(path).lines), sorted(lines));
  Deno.truncateSync(path, 100 * PAGE_BYTES + 1_000);
  const { lines: left } = salvaged(path);
  assert.ok(left.length > 250 && left.length < 320, `${left.length} are left`);
  Deno.truncateSync(path, 0);
  assert.deepEqual(salvaged(path), { lines: [], letters: [], counted: undefined });
});

/** An outbox as a kill leaves it: what is in its log is not in the file yet. */
function killed(folder: TemporaryFolder, batches: readonly (readonly string[])[]): string {
  const path = folder.file("killed.sqlite");
  using outbox = opened(folder.file("outbox.sqlite"));
  for (const lines of batches) assert.ok(outbox.append(lines));
  for (const suffix of ["", "-wal"]) {
    Deno.copyFileSync(folder.file(`outbox.sqlite${suffix}`), path + suffix);
  }
  return path;
}

Deno.test("What only the log has is read too, with the newest version of each page", () => {
  using folder = new TemporaryFolder();
  const batches = Array.from({ length: 40 }, (_, batch) => [lineOf(batch)]);
  const path = killed(folder, batches);
  assert.ok(Deno.statSync(`${path}-wal`).size > 100_000);
  const all = sorted(batches.flat());
  assert.deepEqual(sorted(salvaged(path).lines), all);
  assert.equal(salvaged(path).counted, 40);
  damage(path, (bytes) => bytes.fill(0xff));
  assert.deepEqual(sorted(salvaged(path).lines), all, "the file itself is damaged");
  Deno.removeSync(path);
  assert.deepEqual(sorted(salvaged(path).lines), all, "the file itself is gone");
  damage(`${path}-wal`, (bytes) => bytes.fill(0, 0, 32));
  assert.deepEqual(sorted(salvaged(path).lines), all, "the log's header is damaged");
});

Deno.test("A damaged place in the log costs only the page that is there", () => {
  using folder = new TemporaryFolder();
  const path = killed(folder, Array.from({ length: 40 }, (_, batch) => [lineOf(batch)]));
  damage(`${path}-wal`, (bytes) => {
    // behind the tables that a new file is given, in the frames of the events
    const frames = (bytes.length - 32) / (PAGE_BYTES + 24);
    const place = 32 + (PAGE_BYTES + 24) * Math.floor(frames / 2) + 2_000;
    bytes.fill(0x55, place, place + 512);
  });
  // negative control: SQLite takes the log up to there
  const lines = salvaged(path).lines;
  for (const suffix of ["", "-wal"]) Deno.copyFileSync(path + suffix, folder.file(`s${suffix}`));
  using db = new DatabaseSync(folder.file("s"));
  const bySqlite = Number(db.prepare("SELECT count(*) AS n FROM outbox").get()?.n);
  assert.ok(bySqlite < 30, `SQLite has ${bySqlite}`);
  assert.ok(lines.length >= 37, `${lines.length} of 40`);
});

Deno.test("A transaction of the log that was not committed does not count", () => {
  using folder = new TemporaryFolder();
  const path = killed(folder, [[lineOf(1)], linesOf(60, 4_000)]);
  const log = `${path}-wal`;
  // without its last frame the second one has no end
  Deno.truncateSync(log, Deno.statSync(log).size - PAGE_BYTES);
  assert.deepEqual(salvaged(path).lines, [lineOf(1)]);
});

Deno.test("What the log has from before it was begun anew does not count", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("killed.sqlite");
  const lines = linesOf(3_000);
  {
    using outbox = opened(folder.file("outbox.sqlite"));
    for (let n = 0; n < lines.length; n += 100) outbox.append(lines.slice(n, n + 100));
    const done = lines.map((_, n) => n + 1);
    outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
    // the log is begun anew when all of it is in the file
    for (const n of [1, 2, 3]) assert.ok(outbox.append([lineOf(-n)]));
    for (const suffix of ["", "-wal"]) {
      Deno.copyFileSync(folder.file(`outbox.sqlite${suffix}`), path + suffix);
    }
  }
  assert.deepEqual(sorted(salvaged(path).lines), sorted([-1, -2, -3].map((n) => lineOf(n))));
});

Deno.test("An event that is damaged itself is not delivered, and is missing in what the file says that it holds", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const whole = [lineOf(4), lineOf(6)];
  const lines = [1, 2, 3, 18, 9].map((n) => lineOf(n)).concat(lineOf(5, 20_000), whole);
  {
    using outbox = opened(path);
    assert.ok(outbox.append(lines));
  }
  damage(path, (bytes) => {
    const change = (n: number, by: Uint8Array, behind = 40) => {
      const mark = new TextEncoder().encode(`"n":${n},`);
      // where SQLite has moved a row an old version of it lies about
      bytes.forEach((_, at) => {
        if (mark.every((byte, i) => bytes[at + i] === byte)) bytes.set(by, at + behind);
      });
    };
    change(1, new Uint8Array([0x0a])); // a line break, within a character too
    change(2, new Uint8Array([0xff, 0xfe])); // no UTF-8, though JSON of some text
    change(3, new Uint8Array(50)); // zeroes
    change(18, new Uint8Array([0x0a]), 5); // a line break that JSON allows
    change(9, new Uint8Array([0x22]), 7); // a text that ends early
  });
  const overflow = pagesOf(path, "outbox", "overflow");
  fillPage(path, overflow[1]!);
  const { lines: left, letters, counted } = salvaged(path);
  assert.deepEqual(sorted(left), sorted(whole));
  assert.deepEqual(letters, []);
  assert.equal(counted, lines.length);
});

Deno.test("What is no outbox at all gives nothing, and no garbage", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      let state = seed + 1;
      const bytes = new Uint8Array(20 * PAGE_BYTES).map((_, at) => {
        state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
        return at % PAGE_BYTES === 0 ? 0x0d : state >> 16;
      });
      Deno.writeFileSync(path, bytes);
      const { lines, letters } = salvaged(path);
      assert.deepEqual([lines, letters], [[], []]);
    }),
    { numRuns: 100 },
  );
});

Deno.test("A page that is there twice gives each event once", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  const lines = linesOf(50);
  {
    using outbox = opened(path);
    assert.ok(outbox.append(lines));
  }
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, bytes, { append: true });
  assert.deepEqual(sorted(salvaged(path).lines), sorted(lines));
});

Deno.test("The outbox of 0.1.0 is read as SQLite reads it", () => {
  using folder = new TemporaryFolder();
  copyRelease(folder.path);
  const path = folder.file("outbox.sqlite");
  const { waiting, deadLetters } = outboxContents(path);
  assert.ok(waiting.length > 0 && deadLetters.length > 0);
  const { lines, letters } = salvaged(path);
  assert.deepEqual(sorted(lines), sorted(waiting));
  assert.deepEqual(
    letters.map(({ line, reason }) => `${reason} ${line}`).sort(),
    deadLetters.map(({ line, reason }) => `${reason} ${line}`).sort(),
  );
});

Deno.test("An event is read whatever characters its texts have", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("outbox.sqlite");
  // a dash of Windows-1252 that something took for Latin-1, and what else JSON does not escape
  const lines = ["\u0096", "\u007f", "\u0085", "\u2028"]
    .map((text) => `{"event":{"event_type":"x","data":{"text":"${text}"}}}`);
  {
    using outbox = opened(path);
    assert.ok(outbox.append([...lines, ...lines]));
    const problems = lines.map((_, i) => ({ seq: i + 1, reason: "refused" }));
    outbox.settle({ done: [], delivered: 0, leftOut: {}, problems });
  }
  const found = salvaged(path);
  assert.deepEqual(sorted(found.lines), sorted(lines));
  assert.deepEqual(sorted(found.letters.map(({ line }) => line)), sorted(lines));
});
