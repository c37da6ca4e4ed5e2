/** One life of a delivery over moods of enrich, restarts and full disks, with what must hold at each step. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Delivery } from "../../lib/ingest/delivery/delivery.ts";
import { postEventsTo } from "../../lib/ingest/delivery/post_events.ts";
import { Outbox } from "../../lib/ingest/outbox/outbox.ts";
import { TIMES } from "../ingest/delivery/delivering.ts";
import { FullDisk } from "../outbox_model/full_disk.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { lineOf, type Mood, MoodyEnrich, type Nature } from "./moody_enrich.ts";

export type Step =
  | { readonly kind: "events"; readonly natures: readonly Nature[]; readonly bytes: number }
  | { readonly kind: "fill"; readonly nature: Nature }
  | { readonly kind: "mood"; readonly mood: Mood }
  | { readonly kind: "requests"; readonly n: number }
  /** A house goes on talking: one event after the other. */
  | { readonly kind: "talk"; readonly n: number; readonly nature: Nature }
  | { readonly kind: "disk"; readonly freeRows: number; readonly spills: boolean }
  | { readonly kind: "restart" | "disk free" | "replay" | "try now" };

/** 4,096,000 are for the write-ahead log, so that 460 pages fill the file. */
const MAX_BYTES = 6_000_000;
const FAST = { ...TIMES, quickPausesMs: [0, 0], backoffBaseMs: 4, backoffMaxMs: 4 };
/** Half of `backoffBaseMs` is the shortest pause. */
const SHORTEST_PAUSE_MS = 2;

export class Deliveries implements AsyncDisposable {
  readonly #folder = new TemporaryFolder();
  readonly #disk = new FullDisk();
  readonly #enrich = new MoodyEnrich();
  readonly #failures: unknown[] = [];
  /** Lines that were captured. */
  readonly #taken: string[] = [];
  #outbox: Outbox;
  #delivery: Delivery;
  #stop = new AbortController();
  #running: Promise<void>;
  #events = 0;

  constructor() {
    [this.#outbox, this.#delivery, this.#running] = this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disk.free();
    await this.#end();
    this.#disk[Symbol.dispose]();
    await this.#enrich[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }

  #start(): [Outbox, Delivery, Promise<void>] {
    this.#stop = new AbortController();
    const outbox = new Outbox({
      path: this.#folder.file("outbox.sqlite"),
      maxBytes: MAX_BYTES,
      commitIntervalMs: 1e6,
      onFailure: (error) => this.#failures.push(error),
    });
    const post = postEventsTo(this.#enrich.url, undefined);
    const delivery = new Delivery({ outbox, post, times: FAST });
    const running = delivery.run(this.#stop.signal).catch((error) => {
      this.#failures.push(error);
    });
    return [outbox, delivery, running];
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#outbox[Symbol.dispose]();
  }

  async do(step: Step): Promise<void> {
    switch (step.kind) {
      case "events":
        for (const nature of step.natures) this.#take(nature, step.bytes);
        break;
      case "fill":
        for (let n = 0; n < 200 && this.#take(step.nature, 20_000); n++);
        break;
      case "mood":
        this.#enrich.mood = step.mood;
        break;
      case "requests":
        await this.#requests(step.n);
        break;
      case "talk":
        for (let n = 0; n < step.n; n++) {
          this.#take(step.nature, 60);
          await this.#requests(3);
        }
        break;
      case "disk":
        this.#disk.fill(step);
        break;
      case "disk free":
        this.#disk.free();
        break;
      case "restart":
        await this.#end();
        [this.#outbox, this.#delivery, this.#running] = this.#start();
        break;
      case "replay":
        await this.#outbox.deadLetters.replay({}, this.#stop.signal);
        break;
      case "try now":
        this.#delivery.limited.tryNow();
    }
    this.#check();
  }

  #take(nature: Nature, bytes: number): boolean {
    const line = lineOf(this.#events++, nature, bytes);
    const isTaken = this.#outbox.append([line]);
    if (isTaken) this.#taken.push(line);
    return isTaken;
  }

  /** Lets so many requests pass, or as many as come in that time. */
  async #requests(n: number): Promise<void> {
    const { requests, refused } = this.#enrich;
    const before = requests.length;
    const buried = this.#buried();
    const startedMs = performance.now();
    while (requests.length < before + n && performance.now() - startedMs < 4 * n) await delay(1);
    const now = this.#enrich.refused - refused;
    const answered = requests.length - before - now;
    // there is no pause behind what is buried, nor, in this test, between quick attempts
    const most = 10 + (performance.now() - startedMs) / SHORTEST_PAUSE_MS + 3 * answered +
      this.#buried() - buried;
    assert.ok(now <= most, `${now} refused requests, where ${most} may be: no flood`);
  }

  /** Events that have become dead letters, whatever became of those. */
  #buried(): number {
    const { deadLetters, dropped } = this.#outbox.counters();
    return deadLetters + (dropped.get("dead_letters_full") ?? 0);
  }

  #waiting(): string[] {
    return this.#disk.query("SELECT line FROM outbox").map(({ line }) => String(line));
  }

  #check(): void {
    assert.deepEqual(this.#failures, [], "nothing is fatal");
    const { received, delivered, leftOut, deadLetters, dropped, waiting } = this.#outbox.counters();
    const sum = (counts: ReadonlyMap<string, number>) =>
      [...counts.values()].reduce((a, b) => a + b, 0);
    assert.equal(received, delivered + sum(leftOut) + deadLetters + sum(dropped) + waiting);
    const rows = (sql: string) =>
      this.#disk.query(sql).map((row) => ({ line: String(row.line), reason: String(row.reason) }));
    assert.equal(this.#waiting().length, waiting, "what waits is there");
    assert.ok(this.#delivery.limited.count <= waiting, "what a limit holds waits");
    const letters = rows("SELECT line, reason FROM dead_letter");
    assert.equal(letters.length, deadLetters);
    for (const { line, reason } of letters) this.#checkCause(line, reason);
  }

  #checkCause(line: string, reason: string): void {
    const { blamed, tooLarge } = this.#enrich.fate(line);
    const what = `${line.slice(0, 60)}: ${reason}`;
    if (/^failed \d+ times alone/.test(reason)) {
      assert.ok(blamed >= 10, `${what}: others were stored after ${blamed} of its failures`);
    } else if (/^alone too large/.test(reason)) assert.ok(tooLarge > 0, what);
    else {
      assert.equal(reason, "a problem");
      assert.match(line, /"nature":"a problem"/);
    }
  }

  /**
   * Enrich is well, and the disk has room: whatever fails or is held, the others are stored. Then the
   * store takes everything, and nothing may wait.
   */
  async drain(): Promise<void> {
    this.#disk.free();
    this.#enrich.mood = "well";
    const good = new Set(this.#taken.filter((line) => /"nature":"good"/.test(line)));
    await until(
      () => this.#failures.length > 0 || !this.#waiting().some((line) => good.has(line)),
      "what is good is stored",
      { limitMs: 20_000, everyMs: 5 },
    );
    this.#check();
    this.#enrich.isGood = true;
    this.#delivery.limited.tryNow();
    const before = this.#enrich.requests.length;
    const { waiting } = this.#outbox.counters();
    await until(
      () => this.#failures.length > 0 || this.#outbox.counters().waiting === 0,
      "it drains",
      {
        limitMs: 20_000,
        everyMs: 2,
      },
    );
    this.#check();
    const requests = this.#enrich.requests.length - before;
    assert.ok(requests <= waiting + 20, `${requests} requests for ${waiting} events`);
    assert.equal(this.#delivery.problem, undefined);
    assert.equal(this.#delivery.limited.count, 0);
    const letters = new Set(
      this.#disk.query("SELECT line FROM dead_letter").map(({ line }) => line),
    );
    const gone = this.#taken.filter((line) => {
      const { stored, leftOut } = this.#enrich.fate(line);
      return stored + leftOut === 0 && !letters.has(line);
    });
    const gaveWay = this.#outbox.counters().dropped.get("dead_letters_full") ?? 0;
    assert.ok(
      gone.length <= gaveWay,
      `${gone.length} events are lost, ${gaveWay} are counted as dropped`,
    );
  }
}
