import assert from "node:assert/strict";
import type { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { FakeInfluxDb } from "../stand_ins/fake_influxdb.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { differences, expectedPoint, storedPoint } from "./parts/expected_point.ts";
import { Influxd, type StoredPoint } from "./parts/influxd.ts";
import { equationOf, total } from "./parts/metrics_text.ts";
import { Proxy } from "./parts/proxy.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { SimulatedPipeline } from "./parts/simulated_pipeline.ts";

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

/** The flow into a real influxd, by way of a proxy. */
async function intoInfluxd(resources: AsyncDisposableStack) {
  const influxd = resources.use(await Influxd.start());
  await influxd.createDatabase("home");
  const proxy = resources.use(new Proxy(influxd.url));
  const pipeline = resources.use(
    await SimulatedPipeline.start({
      store: { INFLUXDB_URL: proxy.url, INFLUXDB_DATABASE: "home" },
    }),
  );
  return { influxd, proxy, pipeline };
}

async function droppedDatabase(): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { influxd, proxy, pipeline } = await intoInfluxd(resources);
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
        await influxd.query(`DROP DATABASE "home"`);
        proxy.release();
      },
      says: /404.*database not found.*home.*create it.*correct INFLUXDB_DATABASE/,
      fix: () => influxd.createDatabase("home"),
    });
  }
  assert.ok(from > 50 && pipeline.fired.length - from > 150);
  await assertAllStored(pipeline, () => influxd.allPoints("home"), from);
}

async function refusedUser(): Promise<void> {
  using folder = new TemporaryFolder();
  const passwordFile = folder.file("password");
  const user = { username: "ha", password: "first password" };
  await Deno.writeTextFile(passwordFile, user.password);
  await using influxd = await Influxd.start({ username: "admin", password: "all mighty" });
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
  await Deno.writeTextFile(tokenFile, "known-token");
  await using fake = await FakeInfluxDb.start({ version: 2, token: "known-token" });
  await using pipeline = await SimulatedPipeline.start({
    store: {
      INFLUXDB_URL: fake.url,
      INFLUXDB_ORG: "home",
      INFLUXDB_BUCKET: "home",
      INFLUXDB_TOKEN_FILE: tokenFile,
    },
    readable: [folder.path],
  });
  {
    using source = new Source(pipeline.hass);
    await endure(pipeline, source, {
      name: "a token that InfluxDB 2 does not know",
      breakIt: () => Deno.writeTextFile(tokenFile, "revoked-token"),
      says: /401.*unauthorized access.*check INFLUXDB_TOKEN/,
      fix: () => Deno.writeTextFile(tokenFile, "known-token\n"),
    });
    await endure(pipeline, source, {
      name: "a token of InfluxDB 2 that may no longer write",
      breakIt: () => void (fake.forbids = true),
      says: /403.*insufficient permissions.*INFLUXDB_TOKEN.*INFLUXDB_BUCKET/,
      fix: () => void (fake.forbids = false),
    });
  }
  assert.doesNotMatch(pipeline.enrich.output + pipeline.ingest.output, /(known|revoked)-token/);
  await assertAllStored(pipeline, () => Promise.resolve(fake.points.map(storedPoint)));
}

/** What an InfluxDB that cannot be reached makes health say. */
const UNREACHABLE = /Cannot reach InfluxDB at .*check that it runs, and INFLUXDB_URL/;

async function lostConnections(): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { influxd, proxy, pipeline } = await intoInfluxd(resources);
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
  await assertAllStored(pipeline, () => influxd.allPoints("home"));
}

async function hangingStore(): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { influxd, proxy, pipeline } = await intoInfluxd(resources);
  {
    using source = new Source(pipeline.hass);
    await endure(pipeline, source, {
      name: "a store that hangs, and is started again",
      breakIt: () => proxy.hang(),
      says: UNREACHABLE,
      fix: async () => {
        // what waits in the proxy reaches no store any more
        await influxd.kill();
        proxy.release();
        await influxd.startAgain();
      },
    });
  }
  await assertAllStored(pipeline, () => influxd.allPoints("home"));
}

async function slowStore(): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { influxd, proxy, pipeline } = await intoInfluxd(resources);
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
  await assertAllStored(pipeline, () => influxd.allPoints("home"));
}

realTestsAtOnce(
  "Whatever becomes of the store, nothing is lost, health names what to fix, and all is stored afterwards",
  {
    "A database that is dropped and made again": droppedDatabase,
    "A user without the right to write, then with another password": refusedUser,
    "A token that is not known, then one that may not write": refusedToken,
    "Connections that are reset, before and after the points are stored": lostConnections,
    "A store that hangs, and is started again": hangingStore,
    "A store that answers after 6 s": slowStore,
  },
);
