import assert from "node:assert/strict";
import type { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { differences, expectedPoint } from "./parts/expected_point.ts";
import { Influxd } from "./parts/influxd.ts";
import { Influxd2 } from "./parts/influxd2.ts";
import { INFLUXD_1, REAL_INFLUXDBS, type RealInfluxDb } from "./parts/influxdbs.ts";
import type { StoredPoint } from "./parts/influxql.ts";
import { equationOf, total } from "./parts/metrics_text.ts";
import { Proxy } from "./parts/proxy.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { SimulatedPipeline } from "./parts/simulated_pipeline.ts";

const FULL = Deno.env.get("FULL") === "1";
const EVERY_MS = 20;
const ENTITIES = 7;

/** Numbered states, and an event for each ten of them, until it is disposed of. */
class Source implements Disposable {
  #n = 0;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(hass: SimulatedHomeAssistant) {
    this.#timer = setInterval(() => {
      const n = this.#n++;
      hass.setState(`sensor.numbered_${n % ENTITIES}`, String(n), {
        text: `the ${n}th`,
        half: n / 2,
      });
      if (n % 10 === 0) hass.fire("numbered", { n });
    }, EVERY_MS);
  }

  /** Waits until so many more states were set. */
  async untilMore(count: number): Promise<void> {
    const wanted = this.#n + count;
    await until(() => this.#n >= wanted, `${count} more states were set`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

async function delivered({ ingest }: SimulatedPipeline): Promise<number> {
  return total(await ingest.metrics(), "ingest_events_delivered_total");
}

async function untilReady({ enrich, ingest }: SimulatedPipeline): Promise<void> {
  await enrich.untilReady();
  await ingest.untilReady();
}

/** Waits until both programs say that they do not do their work, with words that fit. */
async function untilSaid({ enrich, ingest }: SimulatedPipeline, words: RegExp): Promise<string> {
  const [said] = await Promise.all([enrich, ingest].map((program) =>
    until(async () => {
      const { ready, text } = await program.health();
      return !ready && words.test(text) && text;
    }, `health says ${words}`)
  ));
  return said ?? "";
}

interface Fault {
  readonly name: string;
  readonly breakIt: () => void | Promise<void>;
  /** What health says of it, and of what to do. */
  readonly says: RegExp;
  readonly fix: () => void | Promise<void>;
}

/** Breaks the store while events flow, holds what is said of it against what is true, and fixes it. */
async function endure(
  pipeline: SimulatedPipeline,
  source: Source,
  { name, breakIt, says, fix }: Fault,
): Promise<void> {
  const startedWith = await delivered(pipeline);
  await source.untilMore(50);
  await until(async () => await delivered(pipeline) > startedWith, "events flow");
  await breakIt();
  const brokenMs = performance.now();
  const said = await untilSaid(pipeline, says);
  const saidMs = performance.now();
  const held = await delivered(pipeline);
  await source.untilMore(100);
  await untilSaid(pipeline, says);
  assert.equal(await delivered(pipeline), held, `events delivered in spite of ${name}`);
  const mendedMs = performance.now();
  await fix();
  await untilReady(pipeline);
  const seconds = (fromMs: number, toMs: number) => ((toMs - fromMs) / 1000).toFixed(1);
  measured(
    `${name}: said after ${seconds(brokenMs, saidMs)} s, ready ${
      seconds(mendedMs, performance.now())
    } s after it was fixed: ${said}`,
  );
  await source.untilMore(50);
}

/**
 * Holds the store against what it would have without any fault. Of what was fired before the
 * `from`th event it may have lost what it had.
 */
async function assertAllStored(
  pipeline: SimulatedPipeline,
  points: () => Promise<readonly StoredPoint[]>,
  from = 0,
): Promise<void> {
  const metrics = await pipeline.untilDrained(120_000);
  const stored = await points();
  const expected = pipeline.fired.map(({ text }) => expectedPoint(`{"event":${text}}`));
  const required = expected.slice(from);
  assert.deepEqual(differences(required, stored).missing, []);
  assert.deepEqual(differences(expected, stored).surplus, []);
  const withheld = stored.filter(({ timeNs }) => timeNs !== required[0]?.timeNs);
  assert.equal(differences(required, withheld).missing.length, 1, "a missing point is noticed");
  assert.equal(total(metrics, "ingest_events_dead_lettered"), 0);
  assert.equal(total(metrics, "ingest_events_delivered_total"), pipeline.fired.length);
  await untilReady(pipeline);
  measured(
    `${stored.length} points of ${expected.length} events, ${required.length} of which must be ` +
      `there; ${equationOf(metrics).text}`,
  );
}

type Open = () => Promise<RealInfluxDb>;

/** The flow into a real InfluxDB, by way of a proxy. */
async function into(open: Open, resources: AsyncDisposableStack) {
  const influxDb = resources.use(await open());
  const proxy = resources.use(new Proxy(influxDb.url));
  const pipeline = resources.use(
    await SimulatedPipeline.start({ store: influxDb.env(proxy.url) }),
  );
  return { influxDb, proxy, pipeline };
}

async function droppedDatabase(open: Open): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { influxDb, proxy, pipeline } = await into(open, resources);
  let from = 0;
  {
    using source = new Source(pipeline.hass);
    await endure(pipeline, source, {
      name: "a database that is dropped",
      breakIt: async () => {
        // what is fired from now on is not in the database when that is dropped
        proxy.hang();
        from = pipeline.fired.length;
        await source.untilMore(50);
        await influxDb.drop();
        proxy.release();
      },
      says: /404.*home.*create it.*correct INFLUXDB_(DATABASE|BUCKET)/,
      fix: () => influxDb.create(),
    });
  }
  assert.ok(from > 50 && pipeline.fired.length - from > 150);
  await assertAllStored(pipeline, () => influxDb.allPoints(), from);
}

async function refusedUser(program: string): Promise<void> {
  using folder = new TemporaryFolder();
  const passwordFile = folder.file("password");
  const user = { username: "ha", password: "first password" };
  await Deno.writeTextFile(passwordFile, user.password);
  await using influxd = await Influxd.start({ username: "admin", password: "all mighty" }, program);
  await influxd.createDatabase("home");
  await influxd.createUser(user);
  await influxd.query(`GRANT WRITE ON "home" TO "ha"`);
  await using pipeline = await SimulatedPipeline.start({
    store: {
      INFLUXDB_URL: influxd.url,
      INFLUXDB_DATABASE: "home",
      INFLUXDB_USERNAME: user.username,
      INFLUXDB_PASSWORD_FILE: passwordFile,
    },
    readable: [folder.path],
  });
  {
    using source = new Source(pipeline.hass);
    await endure(pipeline, source, {
      name: "a user who may no longer write",
      breakIt: async () => void await influxd.query(`REVOKE WRITE ON "home" FROM "ha"`),
      says: /403.*not authorized.*allow INFLUXDB_USERNAME to write to INFLUXDB_DATABASE/,
      fix: async () => void await influxd.query(`GRANT WRITE ON "home" TO "ha"`),
    });
    await endure(pipeline, source, {
      name: "a password that is another now",
      breakIt: async () => void await influxd.query(`SET PASSWORD FOR "ha" = 'second password'`),
      says: /401.*check INFLUXDB_USERNAME and INFLUXDB_PASSWORD/,
      fix: () => Deno.writeTextFile(passwordFile, "second password\n"),
    });
  }
  assert.doesNotMatch(pipeline.enrich.output + pipeline.ingest.output, /(first|second) password/);
  await assertAllStored(pipeline, () => influxd.allPoints("home"));
}

async function refusedToken(): Promise<void> {
  using folder = new TemporaryFolder();
  const tokenFile = folder.file("token");
  await using influxd = await Influxd2.start();
  const writing = await influxd.createToken("write");
  const reading = await influxd.createToken("read");
  const set = ({ token }: { readonly token: string }) =>
    Deno.writeTextFile(tokenFile, `${token}\n`);
  await set(writing);
  const { INFLUXDB_TOKEN: _, ...env } = influxd.env;
  await using pipeline = await SimulatedPipeline.start({
    store: { ...env, INFLUXDB_TOKEN_FILE: tokenFile },
    readable: [folder.path],
  });
  {
    using source = new Source(pipeline.hass);
    await endure(pipeline, source, {
      name: "a token that InfluxDB 2 does not know",
      breakIt: () => set({ token: "unknown-token" }),
      says: /401.*unauthorized access.*check INFLUXDB_TOKEN/,
      fix: () => set(writing),
    });
    await endure(pipeline, source, {
      name: "a token of InfluxDB 2 that may only read",
      breakIt: () => set(reading),
      says: /403.*insufficient permissions.*INFLUXDB_TOKEN.*INFLUXDB_BUCKET/,
      fix: () => set(writing),
    });
    await endure(pipeline, source, {
      name: "a token of InfluxDB 2 that was made inactive",
      breakIt: () => influxd.setTokenActive(writing, false),
      says: /403.*INFLUXDB_TOKEN/,
      fix: () => influxd.setTokenActive(writing, true),
    });
  }
  for (const token of ["unknown-token", writing.token, reading.token]) {
    assert.ok(!(pipeline.enrich.output + pipeline.ingest.output).includes(token));
  }
  await assertAllStored(pipeline, () => influxd.allPoints());
}

/** What an InfluxDB that cannot be reached makes health say. */
const UNREACHABLE = /Cannot reach the database at .*check that it runs, and INFLUXDB_URL/;

async function lostConnections(open: Open): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { influxDb, proxy, pipeline } = await into(open, resources);
  {
    using source = new Source(pipeline.hass);
    await endure(pipeline, source, {
      name: "a store that resets before it has the points",
      breakIt: () => void (proxy.losesRequests = true),
      says: UNREACHABLE,
      fix: () => void (proxy.losesRequests = false),
    });
    assert.ok(proxy.lostRequests > 0);
    await endure(pipeline, source, {
      name: "a store that resets when it has the points",
      breakIt: () => void (proxy.losesAnswers = true),
      says: UNREACHABLE,
      fix: () => void (proxy.losesAnswers = false),
    });
    assert.ok(proxy.lostAnswers > 0);
  }
  await assertAllStored(pipeline, () => influxDb.allPoints());
}

async function idleStore(open: Open): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { proxy, pipeline: { enrich, ingest } } = await into(open, resources);
  await enrich.untilReady();
  // nobody sends anything: enrich has to find out by itself
  await ingest.stop();
  const told = async (isReady: boolean, words: RegExp) => {
    const fromMs = performance.now();
    const text = await until(
      async () => {
        const health = await enrich.health();
        return health.ready === isReady && words.test(health.text) && health.text;
      },
      `an idle enrich says ${words}`,
      { limitMs: 120_000 },
    );
    measured(`idle, said after ${((performance.now() - fromMs) / 1000).toFixed(1)} s: ${text}`);
  };
  proxy.hang();
  await told(false, UNREACHABLE);
  proxy.release();
  await told(true, /ready/);
}

async function slowStore(open: Open): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { influxDb, proxy, pipeline } = await into(open, resources);
  const { ingest, enrich } = pipeline;
  {
    using source = new Source(pipeline.hass);
    await source.untilMore(50);
    proxy.answerDelayMs = 6_000;
    await until(async () => {
      const { ready, text } = await ingest.health();
      return !ready && /InfluxDB has not answered in time.*see http:\/\/.*\/health/.test(text);
    }, "health of ingest says that answers do not come in time");
    await ingest.untilReady();
    const before = await delivered(pipeline);
    await until(async () => await delivered(pipeline) > before, "events are delivered, slowly");
    assert.ok((await enrich.health()).ready, "a slow store is none that takes no points");
    assert.ok((await ingest.health()).ready, "what waits gets through");
    measured(
      "a store that answers after 6 s: events get through, and both say that they are ready",
    );
    proxy.answerDelayMs = 0;
    await source.untilMore(50);
  }
  await assertAllStored(pipeline, () => influxDb.allPoints());
}

type Parts = Readonly<Record<string, () => Promise<void>>>;

function faultsOf(name: string, open: Open): Parts {
  const influxd1 = INFLUXD_1[name];
  const credentials: Parts = influxd1 === undefined
    ? {
      "A token that is not known, then one that may not write, then one that is inactive":
        refusedToken,
    }
    : {
      "A user without the right to write, then with another password": () => refusedUser(influxd1),
    };
  // it takes half a minute, and is all one to a database: once is enough, but for FULL=1
  const slow: Parts = FULL || open === Object.values(REAL_INFLUXDBS)[0]
    ? {
      "A store that hangs while nobody sends anything": () => idleStore(open),
      "A store that answers after 6 s": () => slowStore(open),
    }
    : {};
  return {
    ...credentials,
    "A database that is dropped and made again": () => droppedDatabase(open),
    "Connections that are reset, before and after the points are stored": () =>
      lostConnections(open),
    ...slow,
  };
}

for (const [name, open] of Object.entries(REAL_INFLUXDBS)) {
  realTestsAtOnce(
    `Whatever becomes of the store, nothing is lost, health names what to fix, and all is stored afterwards: ${name}`,
    faultsOf(name, open),
  );
}
