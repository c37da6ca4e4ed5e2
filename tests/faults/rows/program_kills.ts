/** Rows 1 and 2: SIGKILL of ingest, of enrich and of the store. */
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { allStored } from "../../stand_ins/fake_enrich.ts";
import { until } from "../../until.ts";
import { FaultHouse } from "../fault_house.ts";
import { influxdStore } from "../fault_stores.ts";
import type { Row } from "../row.ts";

/** Between two kills, in milliseconds: at random, as long as a start takes and longer. */
const BETWEEN_MS = [50, 1_200] as const;

function randomMs([from, to]: readonly [number, number]): number {
  return from + Math.random() * (to - from);
}

export const INGEST_KILLED: Row = {
  number: "1",
  fault: "kill -9 of ingest, at random",
  promise: "no committed event is lost; states of the time without it come from the recorder",
  run: async (run) => {
    await using house = await FaultHouse.start(run, { flow: { perSecond: 200 } });
    for (let i = 0; i < run.sizes.ingestKills; i++) {
      // half of them while much waits
      if (i % 2 === 1) house.enrichProxy.hang();
      await delay(randomMs(BETWEEN_MS));
      await house.killIngest(() => delay(randomMs([0, 300])));
      house.enrichProxy.release();
      await house.captured();
    }
    return await house.finish();
  },
  control: {
    sabotage: "events are deleted from the outbox while ingest is down",
    red: "lost",
    run: async (run) => {
      await using house = await FaultHouse.start(run, { flow: { perSecond: 200 } });
      house.enrichProxy.hang();
      await house.untilWaiting(100);
      await house.killIngest(() => {
        using db = new DatabaseSync(house.outboxPath);
        db.exec("DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox LIMIT 3 OFFSET 50)");
      });
      house.enrichProxy.release();
      await house.captured();
      return await house.finish();
    },
  },
};

/** Kills enrich the moment something passes; returns when that has happened. */
type Moment = (house: FaultHouse) => Promise<void>;

const decoder = new TextDecoder();

function isWrite(piece: Uint8Array): boolean {
  return /^POST \/write\?[^]*\r\ncontent-length: [1-9]/i.test(
    decoder.decode(piece.subarray(0, 1_000)),
  );
}

const MOMENTS: readonly (readonly [string, Moment])[] = [
  ["before the write", async ({ storeProxy, enrich }) => {
    storeProxy.onRequest = (piece) => {
      // what is lost so never reaches the store
      if (isWrite(piece)) storeProxy.losesRequests = true;
    };
    const lost = storeProxy.lostRequests;
    await until(() => storeProxy.lostRequests > lost, "a write is lost");
    await enrich.kill();
  }],
  ["after the write", async ({ storeProxy, enrich }) => {
    const lost = storeProxy.lostAnswers;
    storeProxy.losesAnswers = true;
    await until(() => storeProxy.lostAnswers > lost, "a write's answer is lost");
    await enrich.kill();
  }],
  ["before the reply", async ({ enrichProxy, enrich }) => {
    const lost = enrichProxy.lostAnswers;
    enrichProxy.losesAnswers = true;
    await until(() => enrichProxy.lostAnswers > lost, "a reply is lost");
    await enrich.kill();
  }],
  ["at random", async ({ enrich }) => {
    await delay(randomMs(BETWEEN_MS));
    await enrich.kill();
  }],
];

export const ENRICH_KILLED: Row = {
  number: "2",
  fault: "kill -9 of enrich before the write, after it, before the reply; and of InfluxDB",
  promise: "enrich answers only when the store has it; sending again changes nothing",
  run: async (run) => {
    await using resources = new AsyncDisposableStack();
    const store = await influxdStore(resources);
    await using house = await FaultHouse.start(run, { store, flow: { perSecond: 200 } });
    const { storeProxy, enrichProxy } = house;
    for (let i = 0; i < run.sizes.enrichKills; i++) {
      await house.untilDelivering();
      const [when, kill] = MOMENTS[i % MOMENTS.length] ?? MOMENTS[0]!;
      await kill(house);
      house.injected(`kills of enrich ${when}`);
      storeProxy.onRequest = () => {};
      storeProxy.losesRequests = storeProxy.losesAnswers = enrichProxy.losesAnswers = false;
      await house.enrich.startAgain();
    }
    for (let i = 0; i < run.sizes.influxdKills; i++) {
      await house.untilDelivering();
      await delay(randomMs(BETWEEN_MS));
      await store.influxd.kill();
      house.injected("kills of InfluxDB");
      await house.flow.more(50);
      await store.influxd.startAgain();
    }
    house.fixed();
    await house.untilDelivering();
    return await house.finish();
  },
  control: {
    sabotage: "an enrich that answers before it has stored is killed",
    red: "lost",
    run: async (run) => {
      await using house = await FaultHouse.start(run);
      await house.untilDelivering();
      const kept = Promise.withResolvers<void>();
      house.between.handle = ({ lines }) => {
        kept.resolve();
        return Promise.resolve(allStored(lines));
      };
      await kept.promise;
      await house.enrich.kill();
      house.injected("kills of enrich");
      house.between.handle = ({ pass }) => pass();
      await house.enrich.startAgain();
      house.fixed();
      await house.untilDelivering();
      return await house.finish();
    },
  },
};
