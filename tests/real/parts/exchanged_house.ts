/** A house whose ingest and enrich give way to those of another release, and all that must be stored of it. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { parseTimeUs } from "../../../lib/time.ts";
import { Relay } from "../../stand_ins/relay.ts";
import { readLine, type StoredPoint, storedPoints } from "../../release_files.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { HOUSE } from "../../simulator/sample_house.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { type Metrics, total } from "./metrics_text.ts";
import { type Program, startEnrich, startIngest } from "./programs.ts";

const HOUR_MS = 3_600_000;
const STATISTIC = {
  statistic_id: "sensor.living_room_temperature",
  source: "recorder",
  name: null,
  unit_of_measurement: "°C",
  has_mean: true,
  has_sum: false,
};
const JSON_TYPE = { "content-type": "application/json" };

const progressSchema = z.object({ state: z.string(), rows: z.number() });
const movedSchema = z.object({ moved: z.number() });
const pageSchema = z.object({ letters: z.array(z.object({ reason: z.string() })) });

/** What tells two events of the simulated house apart. */
function identity(measurement: string, what: unknown, us: number | bigint): string {
  return `${measurement} ${what} ${us}`;
}

function identityOf(line: string): string {
  const { event: { event_type, data, time_fired } } = readLine(line);
  const us = parseTimeUs(time_fired) ?? 0;
  return event_type === "state_changed"
    ? identity(String(data.entity_id).split(".")[0] ?? "", data.entity_id, us)
    : identity("events", event_type, us);
}

export class ExchangedHouse implements AsyncDisposable {
  /** Lines with this entity can be refused on the way to enrich. */
  static readonly SPOILED = "sensor.spoiled";
  #resources: AsyncDisposableStack;
  #rounds = 0;
  #hours = 0;
  /** Of every event that can be stored. */
  readonly #identities = new Set<string>();

  private constructor(
    readonly hass: SimulatedHomeAssistant,
    readonly enrich: Program,
    readonly ingest: Program,
    readonly relay: Relay,
    resources: AsyncDisposableStack,
  ) {
    this.#resources = resources;
    for (const { entityId, lastUpdated } of hass.states.all()) {
      this.#identities.add(identity(entityId.split(".")[0] ?? "", entityId, lastUpdated.us));
    }
  }

  /** With the newest programs, which have stored what the house was when they came. */
  static async start(): Promise<ExchangedHouse> {
    await using resources = new AsyncDisposableStack();
    const hass = resources.use(
      new SimulatedHomeAssistant({ house: HOUSE }).start(),
    );
    const enrich = resources.use(await startEnrich({}));
    const relay = resources.use(new Relay(enrich.url));
    const ingest = resources.use(
      await startIngest({
        HASS_URL: hass.url,
        HASS_TOKEN: hass.token,
        ENRICHMENT_SERVICE_URL: relay.url,
      }),
    );
    await ingest.untilReady();
    const house = new ExchangedHouse(hass, enrich, ingest, relay, resources);
    // what changes before ingest has looked at it is history from before its first start
    await house.settled();
    house.#resources = resources.move();
    return house;
  }

  /** Starts both programs again on the files that there are; without a checkout the newest ones. */
  async startAgain(checkout?: string): Promise<void> {
    await this.enrich.startAgain(checkout);
    await this.ingest.startAgain(checkout);
    await this.enrich.untilReady();
    await this.ingest.untilReady();
  }

  /** States, a removal, other events. Returns how many events that are. */
  live(): number {
    const { hass } = this;
    const n = ++this.#rounds;
    return this.#firing(() => {
      this.#change(`live ${n}`);
      hass.setState("sensor.gone", String(n));
      hass.removeState("sensor.gone");
      hass.setState(ExchangedHouse.SPOILED, String(n));
      hass.fire("call_service", { domain: "light", service: "turn_on", n });
      hass.fire("my_event", { n });
    });
  }

  /** Two events that can never be stored. */
  hopeless(): void {
    this.hass.fire("state_changed", {});
    this.hass.fire("state_changed", { entity_id: "sensor.half" });
  }

  /** Ends both programs, events waiting in the outbox, and has states change that nobody hears. */
  async leave(end: (program: Program) => Promise<void>): Promise<void> {
    const received = async () => total(await this.ingest.metrics(), "ingest_events_received_total");
    await end(this.enrich);
    const before = await received();
    const n = this.live();
    await until(async () => await received() >= before + n, "what waits is captured");
    await end(this.ingest);
    // the first of two is known to the recorder alone
    for (const _ of [1, 2]) this.#firing(() => this.#change(`missed ${++this.#rounds}`));
  }

  /** Waits until enrich has answered for all that happened, and nothing waits. */
  async settled(): Promise<Metrics> {
    const { taken, refused } = this.relay;
    await until(() => {
      const answered = new Set([...taken, ...refused].map(identityOf));
      return [...this.#identities].every((one) => answered.has(one));
    }, "enrich has answered for all that happened");
    return await until(async () => {
      const metrics = await this.ingest.metrics();
      return total(metrics, "ingest_events_queued") === 0 && metrics;
    }, "nothing waits");
  }

  /** Home Assistant has so many more hours of a statistic. Returns how many ingest imports then. */
  async importStatistics(hours: number): Promise<number> {
    const firstMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 100 * HOUR_MS;
    const more = Array.from({ length: hours }, (_, i) => this.#hours + i);
    this.hass.statistics.import(
      STATISTIC,
      more.map((i) => [firstMs + i * HOUR_MS, { mean: i }]),
    );
    this.#hours += hours;
    const url = `${this.ingest.url}/import-statistics`;
    const headers = { "content-type": "application/json" };
    const began = await fetch(url, { method: "POST", headers, body: "{}" });
    assert.equal(began.status, 202, await began.text());
    const { state, rows } = await until(async () => {
      const progress = progressSchema.parse(await (await fetch(url)).json());
      return progress.state !== "running" && progress;
    }, "the import has ended");
    assert.equal(state, "done");
    return rows;
  }

  /** The reasons of the dead letters. */
  async deadLetters(): Promise<readonly string[]> {
    const answer = await fetch(`${this.ingest.url}/dead-letters`);
    return pageSchema.parse(await answer.json()).letters.map(({ reason }) => reason);
  }

  /** Returns how many dead letters that were. */
  async replay(): Promise<number> {
    const answer = await fetch(`${this.ingest.url}/dead-letters/replay`, {
      method: "POST",
      headers: JSON_TYPE,
      body: '{"all":true}',
    });
    return movedSchema.parse(await answer.json()).moved;
  }

  /** What the outbox holds while no program has it open; a log beside it is not folded in. */
  outbox() {
    using folder = new TemporaryFolder();
    copyDatabase(`${this.ingest.dir}/data/outbox.sqlite`, folder.file("outbox.sqlite"));
    using db = new DatabaseSync(folder.file("outbox.sqlite"));
    const count = (from: string) =>
      Number(db.prepare(`SELECT count(*) AS n FROM ${from}`).get()?.n);
    return {
      waiting: count("outbox"),
      deadLetters: count("dead_letter"),
      gaps: count("meta WHERE key = 'gap_opened'"),
      registries: count("meta WHERE key = 'registry' AND value LIKE '%entity_id%'"),
      cursors: count("meta WHERE key LIKE 'statistics %'"),
    };
  }

  /** What is stored, while no program has it open. */
  points(): ReadonlyMap<string, StoredPoint> {
    using folder = new TemporaryFolder();
    copyDatabase(`${this.enrich.dir}/data/store.sqlite`, folder.file("store.sqlite"));
    return storedPoints(folder.file("store.sqlite"));
  }

  /** Throws where not all that happened is stored once, and nothing else. */
  assertStoredOnce(): void {
    const points = [...this.points().values()];
    const stored = points.filter(({ measurement }) =>
      measurement !== "entities" && measurement !== "statistics"
    ).map(({ measurement, tags, timeNs }) =>
      identity(
        measurement,
        measurement === "events" ? tags.event_type : tags.entity_id,
        timeNs / 1_000n,
      )
    );
    assert.deepEqual(stored.toSorted(), [...this.#identities].toSorted());
    const hours = points.filter(({ measurement }) => measurement === "statistics");
    assert.equal(hours.length, this.#hours);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  #change(state: string): void {
    for (const { entity_id } of HOUSE.entities) {
      const attributes = JSON.parse(this.hass.states.get(entity_id)?.attributes ?? "{}");
      this.hass.setState(entity_id, state, attributes);
    }
    this.hass.setState("sensor.unregistered", state, { friendly_name: "Unregistered" });
  }

  #firing(work: () => void): number {
    const before = this.hass.fired.length;
    work();
    const fired = this.hass.fired.slice(before);
    for (const { text } of fired) this.#identities.add(identityOf(`{"event":${text}}`));
    return fired.length;
  }
}

function copyDatabase(from: string, to: string): void {
  for (const suffix of ["", "-wal"]) {
    if (existsSync(from + suffix)) Deno.copyFileSync(from + suffix, to + suffix);
  }
}
