/** Rows 12, 13, 18 and 19: Home Assistant, its recorder, the clock, and a second ingest. */
import { setTimeout as delay } from "node:timers/promises";
import { total } from "../../real/parts/metrics_text.ts";
import { startIngest } from "../../real/parts/programs.ts";
import { underWrongClock } from "../../real/parts/wrong_clock.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { FaultHouse } from "../fault_house.ts";
import { HttpBetween } from "../http_between.ts";
import type { Row, RowRun } from "../row.ts";
import { anHourLater } from "./repeats.ts";

/**
 * Home Assistant is asked after 15 s of silence and has 10 s to answer. Where the answer to a command
 * was on its way it has that command's 30 s; a busy machine takes longer.
 */
const NOTICED_WITHIN_MS = 60_000;
/** It connects again the later the longer it was away, but no later than after 30 s. */
const BACK_WITHIN_MS = 90_000;

/** Waits until ingest has another connection than now, once `breakIt` is done. */
async function interrupted(house: FaultHouse, breakIt: () => unknown): Promise<void> {
  const metric = async (name: string) => total(await house.ingest.metrics(), `ingest_${name}`);
  const before = await metric("connections_total");
  const isBack = async () => await metric("connections_total") > before;
  house.lostOrder();
  // while a list of all states may be on its way silence is no sign
  await house.filled();
  await breakIt();
  await house.promised(
    "ingest has noticed",
    async () => await metric("capturing") === 0 || await isBack(),
    NOTICED_WITHIN_MS,
  );
  await house.promised("ingest captures again", isBack, BACK_WITHIN_MS);
  house.fixed();
  await house.flow.more(30);
}

async function tokenHouse(run: RowRun, folder: TemporaryFolder) {
  const file = folder.file("token");
  await Deno.writeTextFile(file, "simulated-token");
  const house = await FaultHouse.start(run, {
    ingestEnv: { HASS_TOKEN_FILE: file },
    ingestOptions: { readable: [folder.path] },
  });
  return { file, house };
}

export const HOUSE_FAULTS: Row = {
  number: "12",
  fault: "Home Assistant restarts, crashes, refuses the token, is half-open",
  promise:
    "noticed within 60 s, capturing again 90 s later at most, without a restart; what was missed is " +
    "filled in; a refused token is not tried on and on",
  run: async (run) => {
    using folder = new TemporaryFolder();
    const { file, house } = await tokenHouse(run, folder);
    await using _ = house;
    const { hass, flow } = house;
    await house.untilDelivering();
    await interrupted(house, () => hass.restart({ downMs: 500 }));
    house.injected("restarts");
    await interrupted(house, () => hass.restart({ downMs: 300, crashed: true }));
    house.injected("crashes");
    await interrupted(house, () => {
      hass.halfOpen();
      house.injected("half-open sockets");
    });
    await interrupted(house, async () => {
      await hass.refuseToken(true);
      house.injected("refused tokens");
      await house.said("ingest", /refused HASS_TOKEN/);
      const attempts = hass.clients.length;
      await flow.more(100);
      house.promise(hass.clients.length <= attempts, "a refused token is not tried all the time");
      await hass.refuseToken(false);
      // the same house, another token
      await Deno.writeTextFile(file, hass.plainToken);
    });
    return await house.finish();
  },
  control: {
    sabotage: "the recorder keeps nothing of the time ingest was killed",
    red: "missing",
    run: async (run) => {
      await using house = await FaultHouse.start(run);
      await house.untilDelivering();
      house.hass.recorder.enabled = false;
      await house.ingest.kill();
      await house.flow.more(30);
      house.lostOrder();
      await house.ingest.startAgain();
      await house.captured();
      house.hass.recorder.enabled = true;
      await house.flow.more(30);
      return await house.finish();
    },
  },
};

export const CLOCK_JUMPS: Row = {
  number: "13",
  fault: "the clock of both programs' machine jumps by an hour, forwards and back",
  promise:
    "each event has Home Assistant's time; while the clock is wrong, too, what waits is delivered",
  run: async (run) => {
    using folder = new TemporaryFolder();
    const offset = folder.file("offset");
    await Deno.writeTextFile(offset, "+0");
    const under = await underWrongClock(offset);
    await using house = await FaultHouse.start(run, {
      ingestOptions: { under },
      enrichOptions: { under },
    });
    let most = 0;
    house.between.handle = ({ lines, pass }) => {
      const numbers = numbersIn(lines);
      most = Math.max(most, numbers.length);
      const isOrdered = numbers.every((n, i) => n > (numbers[i - 1] ?? -1));
      house.promise(isOrdered, `a batch is in the order ${numbers}`);
      return pass();
    };
    for (const hours of [1, -1, 1, 0]) {
      await house.untilDelivering();
      // events and a wait of ingest are older than the jump, and others are not
      house.enrichProxy.cut();
      await house.untilWaiting(20);
      await Deno.writeTextFile(offset, `${hours < 0 ? "-" : "+"}${Math.abs(hours) * 3_600}`);
      house.injected("jumps");
      await house.flow.more(200);
      house.enrichProxy.allow();
      if (hours === -1) await house.killIngest();
      house.fixed();
    }
    const written = house.ingest.output + house.enrich.output;
    house.promise(isAnHourOff(written), "the clock was wrong, by the logs");
    house.promise(most > 1, "no batch had several numbered events");
    return await house.finish();
  },
  control: {
    sabotage: "an event has the time of a clock that is an hour off",
    red: "surplus",
    run: async (run) => {
      await using house = await FaultHouse.start(run);
      let done = false;
      house.between.handle = async ({ lines, pass }) => {
        if (done) return await pass();
        done = true;
        return await pass(lines.map(anHourLater).join("\n"));
      };
      await house.untilDelivering();
      return await house.finish();
    },
  },
};

/** The numbers of the events of a flow that are no states: those alone come by the subscription only. */
function numbersIn(lines: readonly string[]): readonly number[] {
  return lines.flatMap((line) => {
    const n = /"event_type":"numbered","data":\{"n":(\d+)\}/.exec(line)?.[1];
    return n === undefined ? [] : [Number(n)];
  });
}

/** Whether a line of the log was written by a clock at least half an hour from ours. */
function isAnHourOff(output: string): boolean {
  return output.split("\n").some((line) => {
    const time = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d/.exec(line)?.[0];
    return time !== undefined &&
      Math.abs(Date.parse(`${time.replace(" ", "T")}Z`) - Date.now()) > 1_800_000;
  });
}

/** A second ingest of the same house, into the same store. */
async function secondIngest(house: FaultHouse, enrichUrl: string, resources: AsyncDisposableStack) {
  const second = resources.use(
    await startIngest({
      HASS_URL: house.hass.url,
      HASS_TOKEN: house.hass.token,
      ENRICHMENT_SERVICE_URL: enrichUrl,
    }),
  );
  await until(() => house.hass.subscriberCount > 1, "the second ingest has subscribed");
  return second;
}

export const TWO_INGESTS: Row = {
  number: "18",
  fault: "two ingests at once, each killed in turn",
  promise: "the store is that of one",
  run: async (run) => {
    await using resources = new AsyncDisposableStack();
    const house = resources.use(await FaultHouse.start(run));
    const second = await secondIngest(house, house.enrich.url, resources);
    for (let i = 0; i < 2; i++) {
      await house.flow.more(100);
      await second.kill();
      house.injected("kills of the second ingest");
      await house.flow.more(50);
      await second.startAgain();
      await house.flow.more(100);
      await house.killIngest(() => house.flow.more(50));
      await house.captured();
    }
    await until(
      async () => total(await second.metrics(), "ingest_events_queued") === 0,
      "nothing waits in the second",
    );
    return await house.finish();
  },
  control: {
    sabotage: "what the second ingest sends has another time",
    red: "surplus",
    run: async (run) => {
      await using resources = new AsyncDisposableStack();
      const house = resources.use(await FaultHouse.start(run));
      const liar = resources.use(new HttpBetween(house.enrich.url, "/events"));
      liar.handle = ({ lines, pass }) => pass(lines.map(anHourLater).join("\n"));
      const second = await secondIngest(house, liar.url, resources);
      await until(
        async () => total(await second.metrics(), "ingest_events_delivered_total") > 0,
        "the second delivers",
      );
      return await house.finish();
    },
  },
};

/** How long the recorder writes nothing down, in milliseconds. */
const HELD_MS = 4_000;

/** Ingest is away while states change that the recorder has not written down when it is back. */
async function missed(house: FaultHouse): Promise<void> {
  await house.untilDelivering();
  house.hass.recorder.hold();
  house.injected("recorders that are late");
  await house.killIngest(() => house.flow.more(100));
  await house.captured();
}

export const RECORDER_LATE: Row = {
  number: "19",
  fault: "the recorder writes down late what ingest has missed",
  promise: "it is waited for, and each state is filled in once",
  run: async (run) => {
    await using house = await FaultHouse.start(run);
    await missed(house);
    await delay(HELD_MS);
    const gaps = total(await house.ingest.metrics(), "ingest_gap_entities");
    house.promise(gaps > 0, "nothing is believed before it is written down");
    house.hass.recorder.release();
    house.fixed();
    return await house.finish();
  },
  control: {
    sabotage: "the recorder loses what it has not written down",
    red: "missing",
    run: async (run) => {
      await using house = await FaultHouse.start(run);
      await missed(house);
      house.hass.recorder.loseQueued();
      house.hass.recorder.release();
      return await house.finish();
    },
  },
};
