import assert from "node:assert/strict";
import { join } from "node:path";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { FakeEnrich } from "../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { total } from "./parts/metrics_text.ts";
import { startIngest } from "./parts/programs.ts";
import { cutPower, type Cuts } from "./parts/power_cuts.ts";
import { Process } from "./parts/process.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { recorded, recording, type Syscall, syscallsIn } from "./parts/syscalls.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** Another history: SEED=n. FULL=1 looks into many more of the states that a power cut may leave. */
const SEED = Number(Deno.env.get("SEED") ?? Date.now() % 0x7fffffff);
const STATES = Deno.env.get("FULL") === "1" ? 60_000 : 4_000;
const CONTROL_STATES = 300;

/** Stands between an outbox and SQLite, and changes how it is synced. */
function weakened(change: string): string {
  return `data:application/javascript,${
    encodeURIComponent(`
      import { DatabaseSync } from "node:sqlite";
      const exec = DatabaseSync.prototype.exec;
      let hasSettled = false;
      DatabaseSync.prototype.exec = function (sql) {
        hasSettled ||= sql.includes("synchronous=NORMAL");
        return exec.call(this, (${change})(sql, hasSettled));
      };`)
  }`;
}

const UNSYNCED_LATER = "one that after a settlement syncs no commit any more";
const WEAKENED = {
  "an outbox that never syncs": `(sql) => sql.replace(/synchronous=\\w+/, "synchronous=OFF")`,
  "one that syncs at checkpoints alone":
    `(sql) => sql.replace("synchronous=FULL", "synchronous=NORMAL")`,
  [UNSYNCED_LATER]:
    `(sql, hasSettled) => hasSettled ? sql.replace("synchronous=FULL", "synchronous=NORMAL") : sql`,
};

/** What a program that works an outbox in the folder asks of the kernel: its files, and its marks. */
async function record(folder: string, log: string, preload?: string): Promise<Syscall[]> {
  await using work = new Process("outbox work", [
    ...recording(log),
    ...[Deno.execPath(), "run", "--no-prompt", "--allow-sys=statfs"],
    ...[`--allow-read=${folder}`, `--allow-write=${folder}`],
    ...(preload === undefined ? [] : [`--preload=${preload}`]),
    ...[join(ROOT, "tests/real/parts/outbox_work.ts"), folder, String(SEED)],
  ]);
  const { code } = await work.ended();
  assert.equal(code, 0, work.output);
  return [...syscallsIn(await recorded(log, work.pid))].filter(({ name, path, data }) =>
    path.startsWith(folder) || name === "write" && path.startsWith("pipe:") && data[0] === 0x7b
  );
}

async function cuts(states: number, preload?: string): Promise<Cuts> {
  using folder = new TemporaryFolder();
  using logs = new TemporaryFolder();
  const calls = await record(folder.path, logs.file("log"), preload);
  return cutPower(calls, { folder: folder.path, seed: SEED, states });
}

realTest(
  `Whatever of its unsynced writes a disk holds after a power cut, the outbox opens with all that it had acknowledged (seed ${SEED})`,
  async () => {
    const { faults, ...counts } = await cuts(STATES);
    measured(`power cuts: ${JSON.stringify(counts)}`);
    assert.deepEqual(faults.slice(0, 20), []);
    assert.ok(counts.states > STATES / 2 && counts.inCheckpoints > 20, "these were cut");
  },
);

for (const [name, change] of Object.entries(WEAKENED)) {
  realTest(`What looks for lost events after a power cut finds them in ${name}`, async () => {
    const { faults, states } = await cuts(CONTROL_STATES, weakened(change));
    measured(`${name}: ${faults.length} faults in ${states} states, such as ${faults[0]}`);
    assert.ok(faults.length > 0);
  });
}

/** Each comes once what was before it is delivered, and its settlement, which is not synced, is committed. */
const ROUNDS = 30;

interface SyncOrder {
  /** What was told of an event, or counted, before it was synced. */
  readonly faults: readonly string[];
  readonly delivered: number;
  /** How often ingest said how many events it has received. */
  readonly counts: number;
  readonly commits: number;
  readonly syncs: number;
}

/** Ingest between a simulated house and an enrich, with each of its writes and syncs. */
async function syncOrder(preload?: string): Promise<SyncOrder> {
  using logs = new TemporaryFolder();
  const log = logs.file("log");
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  await using enrich = new FakeEnrich();
  const ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    ENRICHMENT_SERVICE_URL: enrich.url,
  }, { under: recording(log), preload });
  await using _ingest = ingest;
  const settled = (received: number) =>
    until(async () => {
      const metrics = await ingest.metrics();
      return total(metrics, "ingest_events_received_total") >= received &&
        total(metrics, "ingest_events_queued") === 0 && metrics;
    }, `${received} are received, and none waits`);
  await ingest.untilReady();
  const before = total(await settled(0), "ingest_events_received_total");
  for (let round = 0; round < ROUNDS; round++) {
    hass.fire("marked", { mark: `mark-${round}-` });
    await settled(before + round + 1);
  }
  await ingest.stop();
  return orderOf(syscallsIn(await recorded(log, ingest.pid)), before);
}

/** `before`: so many events were received before the first that has a mark. */
function orderOf(calls: Iterable<Syscall>, before: number): SyncOrder {
  const written = new Set<string>();
  const synced = new Set<string>();
  const told = new Set<string>();
  const faults: string[] = [];
  let [counts, commits, syncs] = [0, 0, 0];
  for (const { name, path, data } of calls) {
    const text = new TextDecoder("latin1").decode(data);
    const marks = [...text.matchAll(/mark-\d+-/g)].map(([mark]) => mark);
    if (path.endsWith("outbox.sqlite-wal")) {
      if (/sync/.test(name)) {
        syncs++;
        for (const mark of written) synced.add(mark);
      }
      for (const mark of marks) written.add(mark);
      // the header of the last page of a transaction says how many the file has then
      if (data.length === 24 && new DataView(data.buffer).getUint32(4) > 0) commits++;
    } else if (path.startsWith("socket:")) {
      for (const mark of marks) {
        if (!synced.has(mark)) faults.push(`${mark} was sent to enrich before it was synced`);
        told.add(mark);
      }
      const count = /^ingest_events_received_total (\d+)$/m.exec(text)?.[1];
      if (count === undefined) continue;
      counts++;
      if (Number(count) - before > synced.size) {
        faults.push(`${count} are received, ${before + synced.size} synced`);
      }
    }
  }
  return { faults, delivered: told.size, counts, commits, syncs };
}

realTest(
  "Ingest syncs each event before it counts it or sends it on, also after a settlement that is not synced",
  async () => {
    const { faults, delivered, counts, commits, syncs } = await syncOrder();
    measured(
      `${delivered} events, ${counts} counts: ${commits} commits, ${syncs} syncs of the log`,
    );
    assert.deepEqual(faults, []);
    assert.equal(delivered, ROUNDS);
    assert.ok(counts > ROUNDS);
    assert.ok(commits - syncs > ROUNDS / 2, "settlements are not synced");
  },
);

realTest(`What looks for the order of syncs finds fault with ${UNSYNCED_LATER}`, async () => {
  const { faults } = await syncOrder(weakened(WEAKENED[UNSYNCED_LATER]));
  assert.ok(faults.some((fault) => /sent to enrich/.test(fault)), "sent");
  assert.ok(faults.some((fault) => /are received/.test(fault)), "counted");
});
