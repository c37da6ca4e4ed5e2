/** One life of a house, its recorder and ingest, and what must have been captured at its end. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Capture } from "../../lib/ingest/capture/capture.ts";
import { CAPTURE_TIMES } from "../../lib/ingest/capture/capture_times.ts";
import { Outbox } from "../../lib/ingest/outbox/outbox.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { device, EMPTY_HOUSE, type House, sensor } from "../simulator/house.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { ENTITIES, type GapAction, type GapHouse, YEARS } from "./gap_actions.ts";
import { assertPromises, type Happened } from "./gap_promises.ts";
import { rowsOf } from "../ingest/outbox/rows.ts";

const FILLING_TIMES = { pollMs: 2, barrierDeadlineMs: 150, barrierMaxWaitMs: 40 };
const TIMES = {
  ...CAPTURE_TIMES,
  backoffBaseMs: 4,
  backoffMaxMs: 10,
  openDeadlineMs: 390,
  silenceMs: 400,
  pongDeadlineMs: 200,
  commandDeadlineMs: 1_000,
  listDeadlineMs: 1_000,
  subscribeDeadlineMs: 1_000,
};
/** So long ago the house began: longer than what is imported. */
const RECORDED_S = 20 * 86_400;
/** 4,096,000 are for the write-ahead log. */
const MAX_BYTES = 5_500_000;
const LARGE = "x".repeat(20_000);
const ALL = { maxEvents: 1_000_000, maxBytes: 1e12 };
/** The first ones are registered: they survive a restart, and can be renamed. */
const REGISTERED = 5;

function houseOf(): House {
  return {
    ...EMPTY_HOUSE,
    devices: [device("d", "Device", "", "Maker", "Model")],
    entities: Array.from(
      { length: REGISTERED },
      (_, i) => sensor(`sensor.r${i}`, "d", `R${i}`, "0", "W", "power"),
    ),
  };
}

export class GapHistory implements AsyncDisposable {
  readonly #folder = new TemporaryFolder();
  readonly #house: GapHouse;
  readonly #hass: SimulatedHomeAssistant;
  readonly #ids = Array.from(
    { length: ENTITIES },
    (_, i) => i < REGISTERED ? `sensor.r${i}` : `sensor.u${i}`,
  );
  /** Which entity an id stands for, or stood. */
  readonly #entityOf = new Map(this.#ids.map((id, i) => [id, i]));
  readonly #failures: unknown[] = [];
  readonly #delivered: string[] = [];
  readonly #alarms = new Map<string, number>();
  readonly #shown = new Set<string>();
  #path: string;
  #files = 0;
  #n = 0;
  #outbox: Outbox | undefined;
  #capture: Capture | undefined;
  #stop = new AbortController();
  #running: Promise<void> | undefined;
  #restarting: Promise<void> | undefined;
  #drains = true;
  readonly #drainTimer: ReturnType<typeof setInterval>;
  #ahead: boolean;
  #wentBackFired = Infinity;
  readonly #restartsFired: number[] = [];
  #isHeld = false;
  #isPurged = false;
  #isOff = false;
  #forwardSinceComplete = true;
  readonly #renamed: number[] = [];
  #firstFired = Infinity;
  #comparedFired = Infinity;

  constructor(house: GapHouse) {
    this.#house = house;
    this.#path = this.#folder.file("outbox0.sqlite");
    const { version, commitIntervalMs, aheadSeconds } = house;
    const startedMs = performance.now();
    const startedS = Date.now() / 1000 - RECORDED_S;
    this.#ahead = aheadSeconds > 0;
    const now = () => startedS + (performance.now() - startedMs) / 1000;
    this.#hass = new SimulatedHomeAssistant({ version, commitIntervalMs, now, house: houseOf() })
      .start();
    this.#look();
    this.#hass.clock.offsetSeconds = RECORDED_S + aheadSeconds;
    this.#drainTimer = setInterval(() => {
      this.#look();
      if (this.#drains) this.#drain();
    }, 4);
  }

  /** Ingest is there for the first time. */
  async begin(): Promise<void> {
    for (let n = 0; n < this.#house.before; n++) this.#change(n % ENTITIES);
    this.#start();
    await until(() => this.#capture?.state.kind === "capturing", "it captures", { everyMs: 1 });
    // a gap begins with what was heard
    const heard = () => {
      this.#change(0);
      return this.#outbox?.chain.seen.heard() !== undefined;
    };
    await until(heard, "something is heard", { everyMs: 2 });
    this.#firstFired = this.#hass.fired.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#drainTimer);
    await this.#end();
    await this.#restarting;
    await this.#hass.stop();
    this.#folder[Symbol.dispose]();
  }

  get #isUp(): boolean {
    return !this.#hass.life.aborted;
  }

  #look(): void {
    for (const { entityId, lastUpdated } of this.#hass.states.all()) {
      this.#shown.add(`${entityId} ${lastUpdated.us}`);
    }
    if (
      this.#comparedFired === Infinity && this.#outbox?.meta("imported") &&
      !this.#outbox.chain.opened
    ) {
      this.#comparedFired = this.#hass.fired.length;
    }
  }

  #drain(): void {
    if (!this.#outbox) return;
    const rows = rowsOf(this.#outbox.waiting.next.peek(ALL));
    if (rows.length === 0) return;
    const done = rows.map(({ seq }) => seq);
    const settled = this.#outbox.settle({
      done,
      delivered: rows.length,
      leftOut: {},
      problems: [],
    });
    if (settled) this.#delivered.push(...rows.map(({ line }) => line));
  }

  #start(): void {
    if (this.#running) return;
    this.#stop = new AbortController();
    const outbox = this.#outbox = new Outbox({
      path: this.#path,
      maxBytes: MAX_BYTES,
      onFailure: (error) => this.#failures.push(error),
    });
    this.#capture = new Capture({
      hassUrl: this.#hass.url,
      hassToken: () => this.#hass.token,
      outbox,
      importDays: this.#house.importDays,
      snapshotMinutes: 0,
      fillingTimes: FILLING_TIMES,
      times: TIMES,
    });
    this.#running = this.#capture.run(this.#stop.signal).catch((error) => {
      this.#failures.push(error);
    });
  }

  async #end(): Promise<void> {
    const outbox = this.#outbox;
    this.#stop.abort();
    await this.#running;
    this.#noteAlarms();
    this.#outbox = this.#capture = this.#running = undefined;
    outbox?.[Symbol.dispose]();
  }

  #noteAlarms(): void {
    for (const [reason, n] of this.#capture?.filling.gaps.unfilledByReason ?? []) {
      this.#alarms.set(reason, n + (this.#alarms.get(reason) ?? 0));
    }
  }

  /** What is in the file at this moment is all that is left. */
  async #kill(): Promise<void> {
    if (!this.#outbox) return;
    const from = this.#path;
    this.#path = this.#folder.file(`outbox${++this.#files}.sqlite`);
    for (const end of ["", "-wal"]) Deno.copyFileSync(from + end, this.#path + end);
    this.#noteAlarms();
    const [outbox, running] = [this.#outbox, this.#running];
    this.#outbox = this.#capture = this.#running = undefined;
    this.#stop.abort();
    await running;
    outbox[Symbol.dispose]();
  }

  #change(entity: number, how = "value"): void {
    if (!this.#isUp) return;
    const id = this.#ids[entity] ?? "";
    const hass = this.#hass;
    const present = hass.states.get(id);
    const value = String(++this.#n);
    switch (how) {
      case "attributes":
        hass.setState(id, present?.state ?? value, { n: this.#n, friendly_name: id });
        break;
      case "there and back": {
        const back = present?.state ?? "0";
        hass.setState(id, value, { n: 0 });
        hass.setState(id, back, { n: 0 });
        break;
      }
      case "remove":
        hass.removeState(id);
        break;
      case "rename": {
        const to = `${id}_${this.#n}`;
        if (!hass.registries.entities.has(id)) return;
        hass.registry.updateEntity(id, { entity_id: to });
        this.#ids[entity] = to;
        this.#entityOf.set(to, entity);
        this.#renamed.push(entity);
        break;
      }
      default:
        hass.setState(id, value, { n: 0 });
    }
  }

  async do(action: GapAction): Promise<void> {
    const { recorder } = this.#hass;
    this.#look();
    switch (action.kind) {
      case "change":
        this.#change(action.entity, action.how);
        break;
      case "changes":
        for (let n = 0; n < action.n; n++) this.#change((n * 5) % ENTITIES);
        break;
      case "other event":
        if (this.#isUp) this.#hass.fire("other", { n: ++this.#n });
        break;
      case "cut":
        this.#hass.cutClients();
        break;
      case "half-open":
        this.#hass.halfOpen();
        break;
      case "stop":
        if (this.#running) await this.#end();
        break;
      case "start":
        this.#start();
        break;
      case "kill":
        await this.#kill();
        break;
      case "restart":
        await this.#restart(action);
        break;
      case "hold":
        recorder.hold();
        this.#isHeld = true;
        break;
      case "release":
        recorder.release();
        this.#isHeld = false;
        break;
      case "lose":
        recorder.loseQueued();
        break;
      case "fail commit":
        recorder.failNextCommit();
        break;
      case "early":
      case "not early":
        if (this.#house.version !== "2026.11.0") recorder.answersEarly = action.kind === "early";
        break;
      case "disable":
      case "enable":
        recorder.enabled = action.kind === "enable";
        break;
      case "history off":
      case "history on":
        this.#isOff = action.kind === "history off";
        this.#hass.disableHistory(this.#isOff);
        break;
      case "slow":
        this.#hass.slowLink(300_000);
        break;
      case "fast":
        this.#hass.slowLink(undefined);
        break;
      case "purge":
        this.#purge(action.states);
        break;
      case "clock":
        this.#turnClock(action.seconds);
        break;
      case "fill":
        await this.#fill();
        break;
      case "drain":
        this.#drains = true;
        break;
      case "wait":
        await delay(action.ms);
        break;
      case "complete": {
        // that a clock went forward is known once something was heard since
        const sign = this.#isUp ? this.#hass.fire("other", { n: ++this.#n }).text : undefined;
        await this.#untilComplete(500).catch(() => {});
        const isHeard = sign && this.#delivered.some((line) => line.includes(sign));
        if (isHeard) this.#forwardSinceComplete = false;
      }
    }
    await delay(0);
    assert.deepEqual(this.#failures, [], "nothing is fatal");
    this.#assertEquation();
  }

  async #restart(action: GapAction & { kind: "restart" }): Promise<void> {
    await this.#restarting;
    if (action.loses) this.#hass.recorder.loseQueued();
    this.#isHeld = false;
    this.#restartsFired.push(this.#hass.fired.length);
    this.#restarting = this.#hass.restart(action);
    if (action.awaits) await this.#restarting;
  }

  #purge(states: number): void {
    const kept = this.#hass.fired.at(-states - 1);
    // a recorder that is held purges nothing either;
    // it takes its oldest row for the begin of time: one without any is no example
    if (!kept || this.#isHeld || this.#wentBackFired < Infinity) return;
    this.#isPurged = true;
    this.#hass.recorder.purge(kept.timeFiredUs / 1e6);
  }

  /**
   * Forward as often as may be, and back once: what happens in a time that is there twice has no
   * order. Nor has what happens while nobody listens to a clock that goes forward and back. While
   * history is off nobody can be asked for the time.
   */
  #turnClock(seconds: number): void {
    if (seconds === -YEARS && !this.#ahead || this.#wentBackFired < Infinity) return;
    if (seconds < 0) {
      if (this.#isPurged || this.#forwardSinceComplete || this.#isOff) return;
      this.#wentBackFired = this.#hass.fired.length;
      this.#ahead = false;
    } else this.#forwardSinceComplete = true;
    this.#hass.clock.offsetSeconds += seconds;
  }

  /** Nobody takes events out of the outbox until `drain`, and it is full. */
  async #fill(): Promise<void> {
    this.#drains = false;
    for (let n = 0; n < 120 && this.#outbox && this.#isUp; n++) {
      this.#hass.setState("sensor.u7", String(++this.#n), { LARGE });
      if (n % 10 === 0) await delay(2);
    }
  }

  #assertEquation(): void {
    if (!this.#outbox) return;
    const { received, delivered, leftOut, deadLetters, dropped, waiting } = this.#outbox.counters();
    const sum = (counts: ReadonlyMap<string, number>) =>
      [...counts.values()].reduce((a, b) => a + b, 0);
    assert.equal(received, delivered + sum(leftOut) + deadLetters + sum(dropped) + waiting);
  }

  async #untilComplete(limitMs: number): Promise<void> {
    await until(
      () => {
        const capture = this.#capture;
        if (this.#failures.length > 0) return true;
        if (!capture || !this.#outbox) return false;
        return capture.state.kind === "capturing" && capture.filling.status.state === "idle" &&
          !this.#outbox.chain.opened && this.#outbox.missing.lastId() === 0;
      },
      "nothing is missing",
      { limitMs, everyMs: 2 },
    );
  }

  /** All is well again and the house lives on: whatever could be captured is. */
  async end(): Promise<void> {
    const hass = this.#hass;
    await this.#restarting;
    const { recorder } = hass;
    recorder.release();
    recorder.answersEarly = false;
    recorder.enabled = true;
    hass.disableHistory(false);
    hass.slowLink(undefined);
    this.#drains = true;
    this.#drain();
    this.#start();
    await until(() => this.#capture?.state.kind === "capturing", "it captures", { everyMs: 2 });
    const present = hass.states.all().map(({ entityId }) => entityId);
    await this.#untilComplete(30).catch(() => {});
    for (const id of present) hass.setState(id, String(++this.#n), { n: 0 });
    const living = setInterval(() => hass.setState("sensor.pulse", String(++this.#n)), 10);
    try {
      await this.#last();
      await this.#untilFilled();
    } finally {
      clearInterval(living);
    }
    await this.#last();
    await this.#untilFilled();
    recorder.purge(0);
    this.#look();
    assert.deepEqual(this.#failures, [], "nothing is fatal");
    this.#assertEquation();
    this.#noteAlarms();
    assertPromises(this.#happened());
  }

  /** Whatever was fired before has arrived. */
  async #last(): Promise<void> {
    // one that comes while there is no connection is not heard
    await until(
      async () => {
        const { text } = this.#hass.fire("the end");
        const isThere = () => this.#delivered.some((line) => line.includes(text));
        await until(isThere, "it is delivered", { limitMs: 1_500, everyMs: 2 });
        return true;
      },
      "an event is delivered",
      { everyMs: 2 },
    );
  }

  async #untilFilled(): Promise<void> {
    await this.#untilComplete(6_000).catch((error) => {
      const { state, waitingFor, entities } = this.#capture?.filling.status ?? {};
      throw new Error(`it stays ${state} for ${waitingFor}, ${entities} entities`, {
        cause: error,
      });
    });
  }

  #happened(): Happened {
    const { text } = this.#hass.recorder.history({
      start: 0,
      end: Infinity,
      entityIds: [...this.#entityOf.keys(), "sensor.pulse"],
      includeStartTimeState: false,
      significantChangesOnly: false,
      minimalResponse: false,
      noAttributes: false,
    });
    return {
      fired: this.#hass.fired.map(({ text }) => text),
      delivered: this.#delivered,
      history: text,
      shown: this.#shown,
      entityOf: this.#entityOf,
      alarms: this.#alarms,
      gaps: this.#capture?.filling.gaps.report() ?? [],
      importDays: this.#house.importDays,
      firstFired: this.#firstFired,
      comparedFired: this.#comparedFired,
      wentBackFired: this.#wentBackFired,
      restartsFired: this.#restartsFired,
      renamed: this.#renamed,
      isPurged: this.#isPurged,
    };
  }
}
