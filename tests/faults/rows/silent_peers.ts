/** Rows 10 and 11: peers that stop answering, requests that break off, a flood while enrich is away. */
import { setTimeout as delay } from "node:timers/promises";
import { allStored } from "../../stand_ins/fake_enrich.ts";
import { total } from "../../real/parts/metrics_text.ts";
import { until } from "../../until.ts";
import { FaultHouse } from "../fault_house.ts";
import { influxdStore } from "../fault_stores.ts";
import type { Row } from "../row.ts";

const SILENT_MS = 8_000;
/** The second where the time is up that ingest has given enrich. */
const NO_ANSWER = /no answer within \d+ s|has not answered in time/;
/** What two batches at a time, a probe and their repetitions come to in that time. */
const CONNECTIONS = 20;

export const PEER_SILENT: Row = {
  number: "10",
  fault: "SIGSTOP of enrich, of InfluxDB; connections reset in the middle of a body",
  promise: "each wait has a deadline, health says so, nothing piles up",
  run: async (run) => {
    await using resources = new AsyncDisposableStack();
    const store = await influxdStore(resources);
    const flow = { perSecond: 200, textChars: 1_000 };
    await using house = await FaultHouse.start(run, { store, flow });
    const { enrich, enrichProxy, storeProxy } = house;
    const peers = [
      ["enrich", enrich, enrichProxy, ["ingest"]],
      ["InfluxDB", store.influxd, storeProxy, ["enrich", "ingest"]],
    ] as const;
    for (const [name, peer, proxy, askers] of peers) {
      await house.untilDelivering();
      const before = proxy.connections;
      peer.pause();
      house.injected(`SIGSTOP of ${name}`);
      for (const asker of askers) await house.said(asker, NO_ANSWER);
      await delay(SILENT_MS);
      const more = proxy.connections - before;
      house.promise(more <= CONNECTIONS, `${more} connections to ${name} while it was silent`);
      peer.resume();
      house.fixed();
      await house.untilDelivering();
    }
    for (const [name, proxy] of [["enrich", enrichProxy], ["InfluxDB", storeProxy]] as const) {
      await house.untilDelivering();
      // so much waits that a request comes in pieces
      enrichProxy.hang();
      await house.untilWaiting(300);
      const pieces = new Map<number, number>();
      const lost = proxy.lostRequests;
      proxy.onRequest = (_, connection) => {
        const count = (pieces.get(connection) ?? 0) + 1;
        pieces.set(connection, count);
        if (count > 1) proxy.losesRequests = true;
      };
      enrichProxy.release();
      await until(() => proxy.lostRequests > lost, "a request breaks off");
      proxy.onRequest = () => {};
      proxy.losesRequests = false;
      house.injected(`resets before ${name}`);
      house.fixed();
    }
    return await house.finish();
  },
  control: {
    sabotage: "of a request that broke off, half reaches enrich, and all of it is acknowledged",
    red: "lost",
    run: async (run) => {
      await using house = await FaultHouse.start(run, { flow: { perSecond: 200 } });
      await house.untilDelivering();
      house.enrichProxy.hang();
      await house.untilWaiting(50);
      let broken = false;
      house.between.handle = async ({ lines, pass }) => {
        if (broken || lines.length < 2) return await pass();
        broken = true;
        await pass(lines.slice(0, lines.length / 2).join("\n"));
        return allStored(lines);
      };
      house.enrichProxy.release();
      await house.untilDelivering();
      return await house.finish();
    },
  },
};

const FLOOD = 10_000;
const FLOOD_PER_SECOND = 3_000;
/** Home Assistant cuts off a reader for whom more messages than this wait for 5 s. */
const WISHED_PENDING = 1_024;

/** A flood; returns how many messages waited for the slowest reader at most. */
async function flood(house: FaultHouse): Promise<number> {
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, ...house.hass.clients.map(({ pending }) => pending));
  }, 5);
  try {
    await house.hass.burst({ n: FLOOD, rate: FLOOD_PER_SECOND, entities: 50, attrs: 3 });
    return most;
  } finally {
    clearInterval(watch);
  }
}

async function keptUp(house: FaultHouse, most: number): Promise<void> {
  house.injected(`floods of ${FLOOD} events`);
  house.promise(most < WISHED_PENDING, `${most} messages waited for ingest`);
  const metrics = await house.ingest.metrics();
  const connections = total(metrics, "ingest_connections_total");
  house.promise(connections === 1, `${connections} connections: the reader was cut off`);
}

export const FLOODED: Row = {
  number: "11",
  fault: `enrich is stopped under a flood of ${FLOOD} events`,
  promise: "the reader never lags",
  run: async (run) => {
    await using house = await FaultHouse.start(run);
    await house.untilDelivering();
    await house.enrich.stop();
    house.injected("endings of enrich");
    const most = await flood(house);
    await house.untilWaiting(FLOOD);
    await keptUp(house, most);
    await house.enrich.startAgain();
    house.fixed();
    return await house.finish();
  },
  control: {
    sabotage: "ingest is stopped (SIGSTOP) during the flood",
    red: "promise",
    words: /messages waited|cut off/,
    run: async (run) => {
      await using house = await FaultHouse.start(run);
      await house.untilDelivering();
      house.ingest.pause();
      const most = await flood(house);
      house.ingest.resume();
      await house.captured();
      await keptUp(house, most);
      return await house.finish();
    },
  },
};
