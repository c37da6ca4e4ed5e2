/** Rows 4, 6 and 7: a store that is away, refuses whoever asks, or wants less. */
import { setTimeout as delay } from "node:timers/promises";
import { allStored } from "../../stand_ins/fake_enrich.ts";
import { FakeInfluxDb } from "../../stand_ins/fake_influxdb.ts";
import { storedPoint } from "../../real/parts/expected_point.ts";
import { Influxd } from "../../real/parts/influxd.ts";
import { total } from "../../real/parts/metrics_text.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { FaultHouse } from "../fault_house.ts";
import { type FaultStore, influxdStore } from "../fault_stores.ts";
import { HttpBetween, type Passing } from "../http_between.ts";
import type { Row } from "../row.ts";

const UNREACHABLE = /Cannot reach the database at .*check that it runs, and INFLUXDB_URL/;

/** Says 204 once to a write of points, and keeps nothing of it. */
function swallowOnce(): (request: Passing) => Promise<Response> {
  let swallowed = false;
  return ({ body, pass }) => {
    if (swallowed || body.length === 0) return pass();
    swallowed = true;
    return Promise.resolve(new Response(null, { status: 204 }));
  };
}

const MANY_SECONDS = 300;

export const STORE_AWAY: Row = {
  number: "4",
  fault: "the store is down",
  promise: "all waits, health and the oldest one's age say so, few attempts, and it drains",
  run: async (run) => {
    await using resources = new AsyncDisposableStack();
    const store = await influxdStore(resources);
    // of hours it is enough to know that they are hours
    const flow = { perSecond: run.sizes.outageSeconds > MANY_SECONDS ? 10 : 100 };
    await using house = await FaultHouse.start(run, { store, flow });
    await house.untilDelivering();
    let attempts = 0;
    house.between.handle = ({ pass }) => {
      attempts++;
      return pass();
    };
    await store.influxd.kill();
    house.injected("outages");
    const { outageSeconds } = run.sizes;
    const fromMs = performance.now();
    await house.said("ingest", UNREACHABLE);
    await house.said("enrich", UNREACHABLE);
    const leftMs = () => outageSeconds * 1000 - (performance.now() - fromMs);
    while (leftMs() > 0) {
      run.say(`the store is away: ${Math.ceil(leftMs() / 1000)} s more`);
      await delay(Math.min(5_000, Math.max(0, leftMs())));
    }
    const age = total(await house.ingest.metrics(), "ingest_oldest_event_age_seconds");
    house.promise(age > outageSeconds / 2, `the oldest event is ${age} s old`);
    // the quick ones, then one in 15 s on average
    house.promise(attempts <= 15 + outageSeconds / 10, `${attempts} attempts`);
    await store.influxd.startAgain();
    house.fixed();
    return await house.finish();
  },
  control: {
    sabotage: "what stands before the store answers 204 to one batch, and keeps nothing of it",
    red: "lost",
    run: async (run) => {
      await using resources = new AsyncDisposableStack();
      const store = await influxdStore(resources);
      const liar = resources.use(new HttpBetween(store.url, "/write"));
      await using house = await FaultHouse.start(run, { store: { ...store, url: liar.url } });
      await house.untilDelivering();
      liar.handle = swallowOnce();
      await house.untilDelivering();
      return await house.finish();
    },
  },
};

const ADMIN = { username: "admin", password: "all mighty" };

export const STORE_REFUSES: Row = {
  number: "6",
  fault: "401, 403 and 404 from the store",
  promise: "all waits, health says what to do, and it drains",
  run: async (run) => {
    using folder = new TemporaryFolder();
    await using influxd = await Influxd.start(ADMIN);
    const passwordFile = folder.file("password");
    await Deno.writeTextFile(passwordFile, "first password");
    await influxd.createUser({ username: "ha", password: "first password" });
    const store: FaultStore = {
      url: influxd.url,
      env: (url) => ({
        INFLUXDB_URL: url,
        INFLUXDB_DATABASE: "home",
        INFLUXDB_USERNAME: "ha",
        INFLUXDB_PASSWORD_FILE: passwordFile,
      }),
      points: () => influxd.allPoints("home"),
    };
    const house = await FaultHouse.start(run, {
      store,
      enrichOptions: { readable: [folder.path] },
    });
    await using _ = house;
    const grant = async () => void await influxd.query(`GRANT WRITE ON "home" TO "ha"`);
    const faults = [
      [
        "404",
        () => Promise.resolve(),
        /404.*home.*create it/,
        async () => {
          await influxd.createDatabase("home");
          await grant();
        },
      ],
      [
        "403",
        () => influxd.query(`REVOKE WRITE ON "home" FROM "ha"`),
        /403.*not authorized.*allow INFLUXDB_USERNAME to write to INFLUXDB_DATABASE/,
        grant,
      ],
      [
        "401",
        () => influxd.query(`SET PASSWORD FOR "ha" = 'second password'`),
        /401.*check INFLUXDB_USERNAME and INFLUXDB_PASSWORD/,
        () => Deno.writeTextFile(passwordFile, "second password\n"),
      ],
    ] as const;
    for (const [status, breakIt, words, fix] of faults) {
      await breakIt();
      house.injected(`refusals with ${status}`);
      await house.said("enrich", words);
      await house.said("ingest", words);
      await house.flow.more(50);
      await fix();
      house.fixed();
      await house.untilDelivering();
    }
    house.promise(
      !/(first|second) password/.test(house.enrich.output + house.ingest.output),
      "no log has a password",
    );
    return await house.finish();
  },
  control: {
    sabotage: "what stands before enrich says that it has stored what enrich could not",
    red: "lost",
    run: async (run) => {
      await using resources = new AsyncDisposableStack();
      const store = await influxdStore(resources);
      await using house = await FaultHouse.start(run, { store });
      await house.untilDelivering();
      house.between.handle = async ({ lines, pass }) => {
        const answer = await pass();
        return answer.ok ? answer : allStored(lines);
      };
      await store.influxd.query(`DROP DATABASE "home"`);
      await house.flow.more(100);
      await store.influxd.createDatabase("home");
      return await house.finish();
    },
  },
};

const MAX_BODY_BYTES = 8_000;
const RETRY_AFTER_S = 2;

async function busyStore(resources: AsyncDisposableStack) {
  const fake = resources.use(
    await FakeInfluxDb.start({ version: 2, maxBodyBytes: MAX_BODY_BYTES }),
  );
  const store: FaultStore = {
    url: fake.url,
    env: (url) => ({
      INFLUXDB_URL: url,
      INFLUXDB_ORG: "home",
      INFLUXDB_BUCKET: "home",
      INFLUXDB_TOKEN: "token",
    }),
    points: () => Promise.resolve(fake.points.map(storedPoint)),
  };
  return { fake, store };
}

export const STORE_BUSY: Row = {
  number: "7",
  fault: "413, 429 and 503 from the store",
  promise: "what is too large is split; it waits as long as it is asked to",
  run: async (run) => {
    await using resources = new AsyncDisposableStack();
    const { fake, store } = await busyStore(resources);
    await using house = await FaultHouse.start(run, { store });
    house.enrichProxy.hang();
    house.flow.fire(1_500);
    await house.untilWaiting(1_500);
    house.enrichProxy.release();
    await house.untilDelivering();
    const tooLarge = fake.requests.filter(({ size }) => size > MAX_BODY_BYTES).length;
    house.promise(tooLarge > 0, "a batch was too large");
    for (let i = 0; i < tooLarge; i++) house.injected("answers 413");
    for (const status of [429, 503]) {
      let saidMs: number | undefined;
      let againMs: number | undefined;
      fake.trouble = ({ body }) => {
        if (body === "") return undefined;
        if (saidMs === undefined) {
          saidMs = performance.now();
          return { status, headers: { "retry-after": String(RETRY_AFTER_S) } };
        }
        againMs ??= performance.now();
        return undefined;
      };
      await house.promised(`written again after a ${status}`, () => againMs !== undefined);
      house.injected(`answers ${status}`);
      const waitedMs = (againMs ?? 0) - (saidMs ?? 0);
      // a timer may be some milliseconds early
      house.promise(
        waitedMs > RETRY_AFTER_S * 990,
        `written again ${waitedMs} ms after a ${status}`,
      );
      house.fixed();
      await house.untilDelivering();
    }
    return await house.finish();
  },
  control: {
    sabotage: "what stands before the store says 204 where that says 429",
    red: "lost",
    run: async (run) => {
      await using resources = new AsyncDisposableStack();
      const { fake, store } = await busyStore(resources);
      const liar = resources.use(new HttpBetween(store.url, "/api/v2/write"));
      liar.handle = async ({ pass }) => {
        const answer = await pass();
        return answer.status === 429 ? new Response(null, { status: 204 }) : answer;
      };
      await using house = await FaultHouse.start(run, { store: { ...store, url: liar.url } });
      await house.untilDelivering();
      let said = false;
      fake.trouble = ({ body }) => {
        if (said || body === "") return undefined;
        said = true;
        return { status: 429, headers: { "retry-after": String(RETRY_AFTER_S) } };
      };
      await house.untilDelivering();
      return await house.finish();
    },
  },
};
