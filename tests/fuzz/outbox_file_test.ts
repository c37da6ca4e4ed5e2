import fc from "fast-check";
import assert from "node:assert/strict";
import { openOutbox } from "../../lib/ingest/outbox/open_outbox.ts";
import { isBroken } from "../../lib/sqlite.ts";
import { FullDisk } from "../outbox_model/full_disk.ts";
import { TemporaryFolder } from "../temporary.ts";
import { runs, SEED } from "./fuzz_runs.ts";
import { rowsOf } from "../ingest/outbox/rows.ts";

const NAME = "outbox.sqlite";
const OPTIONS = { maxBytes: 50_000_000, onFailure: assert.ifError };

/** The files of an outbox with events and dead letters, closed or with its log. */
function filesOf({ closed }: { closed: boolean }): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  using folder = new TemporaryFolder();
  const { outbox } = openOutbox({ path: folder.file(NAME), ...OPTIONS });
  outbox.append(
    Array.from({ length: 300 }, (_, i) => `{"event":{"n":${i}},"a":"${"x".repeat(200)}"}`),
  );
  const rows = rowsOf(outbox.waiting.next.peek({ maxEvents: 20, maxBytes: 1e6 }));
  outbox.settle({
    done: [],
    delivered: 0,
    leftOut: {},
    problems: rows.map(({ seq }) => ({ seq, reason: "for the test" })),
  });
  const read = () =>
    new Map(
      [...Deno.readDirSync(folder.path)].map(({ name }) =>
        [name, Deno.readFileSync(folder.file(name))] as const
      ),
    );
  const open = read();
  outbox[Symbol.dispose]();
  return closed ? read() : open;
}

const spoiling = fc.record({
  closed: fc.boolean(),
  /** The file, or its log. */
  log: fc.boolean(),
  flips: fc.array(
    fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), bit: fc.nat({ max: 7 }) }),
    { maxLength: 20 },
  ),
  /** Most are in the beginning, where the format stands. */
  headFlips: fc.array(fc.nat({ max: 110 * 8 }), { maxLength: 3 }),
  keep: fc.oneof(
    { weight: 3, arbitrary: fc.constant(1) },
    fc.double({ min: 0, max: 1, noNaN: true }),
  ),
});

Deno.test(`Whatever has become of the outbox's file, ingest opens it or a new one, and keeps what it sets aside (seed ${SEED})`, () => {
  const kinds = { closed: filesOf({ closed: true }), open: filesOf({ closed: false }) };
  using _unsynced = new FullDisk();
  let setAsides = 0;
  fc.assert(
    fc.property(spoiling, ({ closed, log, flips, headFlips, keep }) => {
      using folder = new TemporaryFolder();
      const files = new Map(closed ? kinds.closed : kinds.open);
      const name = log && !closed ? `${NAME}-wal` : NAME;
      const bytes = (files.get(name) ?? new Uint8Array()).slice();
      for (const { at, bit } of flips) flip(bytes, Math.floor(at * (bytes.length - 1)), bit);
      for (const n of headFlips) flip(bytes, n >> 3, n & 7);
      files.set(name, bytes.subarray(0, Math.floor(keep * bytes.length)));
      for (const [each, content] of files) Deno.writeFileSync(folder.file(each), content);
      let opened: ReturnType<typeof openOutbox>;
      try {
        opened = openOutbox({ path: folder.file(NAME), ...OPTIONS });
      } catch (error) {
        // a format of a newer release, or a file that cannot be opened: the file is as it was
        assert.match(String(error), /Cannot open .*outbox\.sqlite/);
        return;
      }
      const { outbox, setAside } = opened;
      try {
        if (setAside !== undefined) {
          setAsides++;
          assert.ok(Deno.statSync(setAside).isFile);
          assert.deepEqual([outbox.counters().received, outbox.counters().waiting], [0, 0]);
          assert.ok(outbox.append(['{"event":{}}']));
        } else outbox.append(['{"event":{}}']);
        outbox[Symbol.dispose]();
      } catch (error) {
        // damage that is found later ends ingest, which opens the file again
        assert.ok(setAside === undefined && isBroken(error), String(error));
        try {
          outbox[Symbol.dispose]();
        } catch {
          // nor can it be closed well
        }
      }
    }),
    runs(250),
  );
  assert.ok(setAsides > 5, `only ${setAsides} were set aside`);
});

function flip(bytes: Uint8Array, at: number, bit: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
}
