/** Rows 8, 9 and 17: a disk without room, a damaged file, an outbox that is full. */
import { readFileSync, writeFileSync } from "node:fs";
import { byReason, total } from "../../real/parts/metrics_text.ts";
import { run as runTool } from "../../real/parts/process.ts";
import { SmallDisk } from "../../real/parts/small_disk.ts";
import { until } from "../../until.ts";
import { FaultHouse } from "../fault_house.ts";
import { outboxLines } from "../outbox_copy.ts";
import type { Row, RowRun } from "../row.ts";

const DISK_MB = 48;

/** Fills ingest's disk, has states change that find no room, and frees it. */
async function filled(run: RowRun, house: FaultHouse, disk: SmallDisk): Promise<void> {
  await house.untilDelivering();
  // what is delivered would make room in the file for what comes
  house.enrichProxy.cut();
  await disk.fill();
  house.injected("full disks");
  // whatever room SQLite's log has is used up, too
  await until(async () => {
    house.flow.fire(200);
    // how many are refused is written down once there is room
    return total(await house.ingest.metrics(), "ingest_outbox_full") === 1;
  }, "events are refused");
  await house.said("ingest", /the disk of DATA_DIR is full: \d+ bytes free/);
  const fullness = total(await house.ingest.metrics(), "ingest_outbox_fullness_ratio");
  house.promise(fullness === 1, `the metrics call an outbox that is full ${fullness} full`);
  house.promise(
    /error .*the disk of DATA_DIR is full: 0 bytes free/.test(house.ingest.output),
    "the log says that the disk is full",
  );
  house.enrichProxy.allow();
  const { ready } = await house.enrich.health();
  house.promise(ready, "enrich has nothing to do with it");
  await house.flow.more(50);
  run.say("the disk is freed");
  await disk.free();
  house.fixed();
}

async function onSmallDisk(run: RowRun, resources: AsyncDisposableStack) {
  const disk = resources.use(await SmallDisk.mount(DISK_MB));
  const house = resources.use(
    await FaultHouse.start(run, {
      flow: { textChars: 500 },
      ingestEnv: { DATA_DIR: disk.path },
      ingestOptions: { writable: disk.path },
    }),
  );
  return { disk, house };
}

export const DISK_FULL: Row = {
  number: "8",
  fault: "the outbox's disk is full",
  promise:
    "what is refused is counted, health says so, and what was refused is filled in afterwards",
  run: async (run) => {
    await using resources = new AsyncDisposableStack();
    const { disk, house } = await onSmallDisk(run, resources);
    await filled(run, house, disk);
    await house.ingest.untilReady();
    const { outbox_full = 0 } = byReason(
      await house.ingest.metrics(),
      "ingest_events_dropped_total",
    );
    house.promise(outbox_full > 0, "what was refused is counted");
    return await house.finish();
  },
  control: {
    sabotage: "what is refused is not in the recorder either",
    red: "missing",
    run: async (run) => {
      await using resources = new AsyncDisposableStack();
      const { disk, house } = await onSmallDisk(run, resources);
      await house.untilDelivering();
      house.hass.recorder.enabled = false;
      await filled(run, house, disk);
      return await house.finish();
    },
  },
};

const PAGE_BYTES = 4_096;

/** What a new outbox cannot know of the time before it comes from the recorder. */
const WITH_HISTORY = { ingestEnv: { BACKFILL_DAYS: "1" } } as const;

/** Ends ingest while much waits, and damages its file. Returns what waited in it. */
async function damaged(house: FaultHouse): Promise<readonly string[]> {
  await house.untilDelivering();
  house.enrichProxy.hang();
  await house.untilWaiting(300);
  house.lostOrder();
  // it folds its log into the file, so that nothing but the file is damaged
  await house.ingest.stop();
  house.readOutbox();
  const { waiting } = outboxLines(house.outboxPath);
  const bytes = readFileSync(house.outboxPath);
  // the list of tables; the pages with the events are as they were
  bytes.fill(0xa5, 100, PAGE_BYTES);
  writeFileSync(house.outboxPath, bytes);
  house.injected("damaged outboxes");
  house.outboxBeginsAnew();
  house.enrichProxy.release();
  await house.ingest.startAgain();
  // it is ready: the words are advice
  await house.promised(
    "health says that an outbox was damaged",
    async () => /An outbox was damaged and is set aside/.test((await house.ingest.health()).text),
  );
  await house.captured();
  return waiting;
}

/** The damaged file beside the outbox. */
function damagedFile(house: FaultHouse): string {
  const names = [...Deno.readDirSync(house.dataDir)].map(({ name }) => name);
  return names.find((name) => /^outbox\.sqlite\.damaged-[^-]+-\d\d-[\dT.]+Z$/.test(name)) ?? "";
}

export const OUTBOX_DAMAGED: Row = {
  number: "9",
  fault: "a damaged outbox file",
  promise: "set aside and loud; capture goes on; what can be read of it is recovered",
  run: async (run) => {
    await using house = await FaultHouse.start(run, WITH_HISTORY);
    const waited = await damaged(house);
    house.promise(damagedFile(house) !== "", "the damaged file lies beside the new one");
    await house.flow.more(50);
    const before = total(await house.ingest.metrics(), "ingest_outbox_damaged_files");
    house.promise(before === 1, `${before} damaged files by the metrics`);
    await fetch(`${house.ingest.url}/outbox/recover`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ file: damagedFile(house) }),
    }).then((response) => response.body?.cancel());
    await house.promised(
      `${waited.length} events are recovered`,
      async () => total(await house.ingest.metrics(), "ingest_outbox_damaged_files") === 0,
    );
    house.fixed();
    return await house.finish();
  },
  control: {
    sabotage: "the damaged file is deleted in place of being recovered",
    red: "lost",
    run: async (run) => {
      await using house = await FaultHouse.start(run, WITH_HISTORY);
      await damaged(house);
      await runTool(["rm", `${house.dataDir}/${damagedFile(house)}`]);
      return await house.finish();
    },
  },
};

/** Fills the outbox to its bound while enrich takes nothing. */
async function overfull(house: FaultHouse): Promise<void> {
  await house.untilDelivering();
  house.enrichProxy.cut();
  await until(async () => {
    house.flow.fire(100);
    return total(await house.ingest.metrics(), "ingest_outbox_full") === 1;
  }, "the outbox is full");
  house.injected("full outboxes");
  house.flow.fire(100);
  await house.said("ingest", /OUTBOX_MAX_MB/);
  await house.flow.more(20);
}

const SMALL_OUTBOX = {
  flow: { textChars: 4_000 },
  ingestEnv: { OUTBOX_MAX_MB: "8" },
} as const;

export const OUTBOX_FULL: Row = {
  number: "17",
  fault: "the outbox is full while enrich is away",
  promise: "it stays below its bound, what is refused is counted, and is filled in afterwards",
  run: async (run) => {
    await using house = await FaultHouse.start(run, SMALL_OUTBOX);
    await overfull(house);
    const { size } = await Deno.stat(house.outboxPath);
    house.promise(size <= 8_000_000, `the file takes ${size} bytes`);
    house.enrichProxy.allow();
    house.fixed();
    const evidence = await house.finish();
    const { outbox_full = 0 } = byReason(evidence.metrics, "ingest_events_dropped_total");
    const broken = outbox_full > 0 ? [] : ["what was refused is counted"];
    return { ...evidence, broken: [...evidence.broken, ...broken] };
  },
  control: {
    sabotage: "what is refused is not in the recorder either",
    red: "missing",
    run: async (run) => {
      await using house = await FaultHouse.start(run, SMALL_OUTBOX);
      await house.untilDelivering();
      house.hass.recorder.enabled = false;
      await overfull(house);
      house.enrichProxy.allow();
      return await house.finish();
    },
  },
};
